#include "kernel-min/devices/frame_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace coracle {
namespace {

using channel::FrameHeader;
using channel::FrameType;

struct Piece {
    FrameType type;
    std::string bytes;
    uint32_t remaining;
};
std::vector<Piece> pieces;

void record(FrameType type, std::span<const char> piece, uint32_t remaining) {
    pieces.push_back({type, std::string(piece.data(), piece.size()), remaining});
}

std::string frame(FrameType type, const std::string& payload) {
    FrameHeader header{type, {}, static_cast<uint32_t>(payload.size())};
    return std::string(reinterpret_cast<char*>(&header), sizeof(header)) + payload;
}

TEST(FrameReader, SmallPayloadsComeWhole) {
    pieces.clear();
    FrameReader reader(record);
    std::string stream = frame(FrameType::kSignal, "1234") + frame(FrameType::kStdinEnd, "") +
                         frame(FrameType::kStdinData, std::string(64, 'x'));
    for (char c : stream) reader.feed({&c, 1});
    ASSERT_EQ(pieces.size(), 3u);
    EXPECT_EQ(pieces[0].bytes, "1234");
    EXPECT_EQ(pieces[1].type, FrameType::kStdinEnd);
    EXPECT_EQ(pieces[2].bytes.size(), 64u);
    for (auto& piece : pieces) EXPECT_EQ(piece.remaining, 0u);
}

TEST(FrameReader, AnySplittingGivesTheSameFrames) {
    std::mt19937 random(2);
    for (int round = 0; round < 200; round++) {
        pieces.clear();
        FrameReader reader(record);
        std::string stream;
        std::vector<std::pair<FrameType, std::string>> expected;
        for (int i = 0; i < 20; i++) {
            std::string payload(random() % 2 ? random() % 70 : random() % 5000, ' ');
            for (char& c : payload) c = static_cast<char>(random());
            FrameType type = static_cast<FrameType>(1 + random() % 7);
            expected.emplace_back(type, payload);
            stream += frame(type, payload);
        }
        for (size_t at = 0; at < stream.size();) {
            size_t count = std::min<size_t>(random() % 3000, stream.size() - at);
            reader.feed({stream.data() + at, count});
            at += count;
        }
        size_t index = 0;
        std::string payload;
        for (auto& piece : pieces) {
            payload += piece.bytes;
            if (piece.remaining) {
                ASSERT_EQ(payload.size() + piece.remaining, expected[index].second.size());
                continue;
            }
            ASSERT_EQ(piece.type, expected[index].first);
            ASSERT_EQ(payload, expected[index].second);
            payload.clear();
            index++;
        }
        ASSERT_EQ(index, expected.size());
    }
}

}  // namespace
}  // namespace coracle
