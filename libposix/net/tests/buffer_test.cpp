#include "libposix/net/buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "libposix/net/address.h"

namespace coracle::net {
namespace {

BufferPtr make_buffer(std::string_view text, size_t headroom = 0) {
    BufferPtr buffer = Buffer::allocate(headroom + text.size(), headroom);
    memcpy(buffer->append(text.size()), text.data(), text.size());
    return buffer;
}

std::string_view text_of(const Buffer& buffer) {
    return {reinterpret_cast<const char*>(buffer.data()), buffer.length()};
}

size_t blocks_in_use() {
    size_t count = 0;
    for (size_t in_use : buffer_statistics().in_use) count += in_use;
    return count;
}

class BufferTest : public testing::Test {
  protected:
    ~BufferTest() override {
        EXPECT_EQ(blocks_in_use(), 0u);
        drain_buffer_pools();
    }
};

TEST_F(BufferTest, HasTheRoomThatWasAskedFor) {
    for (size_t capacity : {size_t{0}, size_t{1}, size_t{320}, size_t{321}, size_t{1856},
                            size_t{1857}, kLargeBufferCapacity}) {
        BufferPtr buffer = Buffer::allocate(capacity);
        ASSERT_TRUE(buffer);
        EXPECT_GE(buffer->tailroom(), capacity);
        EXPECT_EQ(buffer->headroom(), 0u);
        memset(buffer->append(buffer->tailroom()), 1, buffer->tailroom());
    }
    EXPECT_FALSE(Buffer::allocate(kLargeBufferCapacity + 1));
}

TEST_F(BufferTest, GrowsAndShrinksAtBothEnds) {
    BufferPtr buffer = make_buffer("payload", kPacketHeadroom);
    EXPECT_EQ(buffer->headroom(), kPacketHeadroom);
    memcpy(buffer->push(4), "head", 4);
    EXPECT_EQ(text_of(*buffer), "headpayload");
    buffer->pull(6);
    buffer->truncate(3);
    EXPECT_EQ(text_of(*buffer), "ylo");
}

TEST_F(BufferTest, KeepsSharedBytesUntilTheLastHeader) {
    BufferPtr part;
    {
        BufferPtr whole = make_buffer("some bytes to keep");
        EXPECT_FALSE(whole->is_shared());
        part = whole->share(5, 5);
        EXPECT_TRUE(whole->is_shared());
    }
    EXPECT_EQ(text_of(*part), "bytes");
    EXPECT_FALSE(part->is_shared());
    EXPECT_EQ(part->headroom(), 0u);
    EXPECT_EQ(part->tailroom(), 0u);
    BufferPtr smaller = part->share(1, 3);
    part.reset();
    EXPECT_EQ(text_of(*smaller), "yte");
}

TEST_F(BufferTest, ReleasesWrappedMemoryOnce) {
    int released = 0;
    char page[] = "a page of a file";
    BufferPtr part;
    {
        BufferPtr whole = Buffer::wrap(
            page, 16, [](void*, void* count) { ++*static_cast<int*>(count); }, &released);
        part = whole->share(2, 4);
    }
    EXPECT_EQ(text_of(*part), "page");
    EXPECT_EQ(released, 0);
    part.reset();
    EXPECT_EQ(released, 1);
}

TEST_F(BufferTest, CopiesAcrossTheChain) {
    BufferPtr chain = make_buffer("one ");
    chain->set_next(make_buffer("two "));
    chain->last()->set_next(make_buffer("three"));
    EXPECT_EQ(chain->chain_length(), 13u);
    char text[14] = {};
    EXPECT_TRUE(chain->copy_out(2, text, 8));
    EXPECT_STREQ(text, "e two th");
    EXPECT_TRUE(chain->copy_out(0, text, 13));
    EXPECT_FALSE(chain->copy_out(6, text, 8));
}

TEST_F(BufferTest, AllocatesNothingInSteadyState) {
    Buffer::allocate(1000).reset();
    size_t free_before = buffer_statistics().free[2];
    for (int i = 0; i < 100; i++) Buffer::allocate(1000).reset();
    EXPECT_EQ(buffer_statistics().free[2], free_before);
}

TEST_F(BufferTest, QueuesKeepTheOrder) {
    BufferQueue queue;
    queue.push_back(make_buffer("b"));
    queue.push_back(make_buffer("d"));
    queue.push_front(make_buffer("a"));
    queue.insert_after(BufferQueue::after(queue.first()), make_buffer("c"));
    queue.insert_after(queue.last(), make_buffer("e"));
    EXPECT_EQ(text_of(*queue.remove_after(queue.first())), "b");
    std::string order;
    while (BufferPtr packet = queue.pop_front()) order += text_of(*packet);
    EXPECT_EQ(order, "acde");
    EXPECT_TRUE(queue.is_empty());
    EXPECT_EQ(queue.last(), nullptr);
}

TEST(IpAddressTest, TellsTheFamiliesApart) {
    IpAddress v4 = IpAddress::v4(10, 0, 2, 15);
    EXPECT_TRUE(v4.is_v4());
    EXPECT_EQ(v4.v4_host_order(), 0x0a00020fu);
    EXPECT_EQ(IpAddress::from_v4_bytes("\x0a\x00\x02\x0f"), v4);
    EXPECT_TRUE(IpAddress::any_v4().is_any());
    EXPECT_TRUE(IpAddress::any_v6().is_any());
    EXPECT_FALSE(IpAddress::any_v4() == IpAddress::any_v6());
    EXPECT_FALSE(IpAddress::loopback_v6().is_v4());
    EXPECT_TRUE(IpAddress::v4(127, 1, 2, 3).is_loopback());
    EXPECT_TRUE(IpAddress::loopback_v6().is_loopback());
    EXPECT_FALSE(v4.is_loopback());
    EXPECT_TRUE(IpAddress::v4(224, 0, 0, 1).is_multicast());
    EXPECT_TRUE(IpAddress::v4(169, 254, 1, 1).is_link_local());
}

TEST(FlowKeyTest, HashesSpread) {
    constexpr size_t kBuckets = 1024;
    int buckets[kBuckets] = {};
    for (uint16_t port = 1; port <= 10240; port++) {
        FlowKey key{{IpAddress::v4(10, 0, 0, 1), 80, 0}, {IpAddress::v4(10, 0, 0, 2), port, 0}};
        buckets[hash_flow(key, 0x1234567890abcdef) % kBuckets]++;
    }
    for (int count : buckets) EXPECT_LT(count, 40);
}

}  // namespace
}  // namespace coracle::net
