#include "libposix/net/unix/message_queue.h"

#include <algorithm>

#include "libposix/net/unix/endpoint.h"

namespace coracle {
namespace {

// Larger pieces would want more contiguous memory than they are worth.
constexpr size_t kMaxPiece = net::buffer_capacity(3);

}  // namespace

Result<UnixPacket> UnixPacket::allocate(UnixEndpoint& sender, size_t size) {
    net::BufferPtr first = net::Buffer::allocate(std::min(size, kMaxPiece));
    if (!first) return Error(ENOBUFS);
    net::Buffer* last = first.get();
    for (size_t room = kMaxPiece; room < size; room += kMaxPiece) {
        net::BufferPtr piece = net::Buffer::allocate(std::min(size - room, kMaxPiece));
        if (!piece) return Error(ENOBUFS);
        net::Buffer* next = piece.get();
        last->set_next(std::move(piece));
        last = next;
    }
    UnixPacket packet(std::move(first));
    sender.ref();
    packet.message() = {.sender = &sender,
                        .from = nullptr,
                        .rights = nullptr,
                        .charge = static_cast<uint32_t>(packet.buffer().chain_memory_size()),
                        .length = 0,
                        .credentials = {}};
    sender.send_used += packet.message().charge;
    return packet;
}

void UnixPacket::release() {
    if (!buffer_) return;
    UnixMessage message = this->message();
    buffer_.reset();
    if (message.rights) destroy_rights(message.rights);
    if (message.from) message.from->unref();
    message.sender->release_send_buffer(message.charge);
    message.sender->unref();
}

void UnixMessageQueue::push(UnixPacket packet) {
    count_++;
    bytes_ += packet.message().length;
    packets_.push_back(packet.take());
}

UnixPacket UnixMessageQueue::pop() {
    UnixPacket packet = UnixPacket::adopt(packets_.pop_front());
    count_--;
    bytes_ -= packet.message().length;
    return packet;
}

void UnixMessageQueue::append(const void* data, size_t size) {
    net::Buffer& packet = *packets_.last();
    memcpy(packet.append(size), data, size);
    message_of(packet).length += static_cast<uint32_t>(size);
    bytes_ += size;
}

void UnixMessageQueue::consume(net::Buffer& packet, size_t size) {
    packet.pull(size);
    message_of(packet).length -= static_cast<uint32_t>(size);
    bytes_ -= size;
}

void UnixMessageQueue::clear() {
    while (!is_empty()) pop();
}

size_t copy_packet_out(const net::Buffer& packet, size_t offset, size_t size, IoBuffer& to) {
    size_t done = 0;
    for (const net::Buffer* piece = &packet; piece && done < size; piece = piece->next()) {
        if (offset >= piece->length()) {
            offset -= piece->length();
            continue;
        }
        const size_t part = std::min(piece->length() - offset, size - done);
        const size_t moved = to.copy_out(piece->data() + offset, part);
        done += moved;
        if (moved < part) break;
        offset = 0;
    }
    return done;
}

Result<void> copy_packet_in(net::Buffer& packet, size_t size, IoBuffer& from) {
    for (net::Buffer* piece = &packet; size != 0; piece = piece->next()) {
        const size_t part = std::min(piece->tailroom(), size);
        if (from.copy_in(piece->append(part), part) < part) return Error(EFAULT);
        message_of(packet).length += static_cast<uint32_t>(part);
        size -= part;
    }
    return {};
}

}  // namespace coracle
