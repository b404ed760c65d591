// A frame in the transmit ring of a packet socket, which the program can change at any time.
#pragma once

#include <linux/if_packet.h>

#include <atomic>
#include <cstdint>

namespace coracle::net {

// The status and length of a frame to be sent, which begins so in every version but for their
// order.
struct TransmitFrame {
    char* at;
    int version;

    uint32_t status() const {
        std::atomic_ref<uint32_t> word(*status_word());
        return word.load(std::memory_order_acquire);
    }
    void set_status(uint32_t status) const {
        if (version == TPACKET_V1) {
            reinterpret_cast<tpacket_hdr*>(at)->tp_status = status;
            return;
        }
        std::atomic_ref<uint32_t>(*status_word()).store(status, std::memory_order_release);
    }
    uint32_t length() const {
        const volatile uint32_t* word =
            version == TPACKET_V1   ? &reinterpret_cast<tpacket_hdr*>(at)->tp_len
            : version == TPACKET_V2 ? &reinterpret_cast<tpacket2_hdr*>(at)->tp_len
                                    : &reinterpret_cast<tpacket3_hdr*>(at)->tp_len;
        return *word;
    }
    // Where it begins, as it says (PACKET_TX_HAS_OFF).
    uint32_t offset(bool of_network) const {
        switch (version) {
            case TPACKET_V1:
                return offset_in<tpacket_hdr>(of_network);
            case TPACKET_V2:
                return offset_in<tpacket2_hdr>(of_network);
            default:
                return offset_in<tpacket3_hdr>(of_network);
        }
    }
    // Version 3 knows frames of several sizes, but not of those that are sent.
    bool has_next_offset() const {
        return version == TPACKET_V3 && reinterpret_cast<tpacket3_hdr*>(at)->tp_next_offset != 0;
    }

  private:
    template <typename Header>
    uint32_t offset_in(bool of_network) const {
        const volatile auto& header = *reinterpret_cast<const volatile Header*>(at);
        return of_network ? header.tp_net : header.tp_mac;
    }
    uint32_t* status_word() const {
        if (version == TPACKET_V3) return &reinterpret_cast<tpacket3_hdr*>(at)->tp_status;
        return reinterpret_cast<uint32_t*>(at);
    }
};

}  // namespace coracle::net
