#include "libposix/memory/address_space.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "kernel-min/memory/tests/fake_memory.h"
#include "libposix/memory/shared_memory.h"
#include "libposix/memory/tests/fake_cpu.h"

namespace coracle {
namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr uint64_t kPlace = 0x10000000000;

class AddressSpaceTest : public testing::Test {
  protected:
    void SetUp() override {
        set_up_fake_memory();
        make_zero_page();
        fake_cpu.flush_all();
        free_before_ = frame_statistics().free;
        space_ = AddressSpace::create(limits_).release_value();
        space_->activate();
    }
    void TearDown() override {
        check_invariants();
        space_ = nullptr;
        EXPECT_EQ(frame_statistics().free, free_before_) << "frames were lost";
    }

    // The shared pages of zeros are made once and stay.
    void make_zero_page() {
        auto space = AddressSpace::create(limits_).release_value();
        for (uint64_t size : {kPageSize, 2 * kHugePageSize}) {
            uint64_t page = space->map({.size = size, .protection = PROT_READ}).value();
            space->resolve_fault(page, false, false);
        }
    }

    uint64_t map(uint64_t size, int protection = kReadWrite, int flags = kPrivate,
                 uint64_t address = 0) {
        auto result = space_->map(
            {.address = address, .size = size, .protection = protection, .flags = flags});
        EXPECT_TRUE(result.ok());
        return result.ok() ? result.value() : 0;
    }
    void write(uint64_t address, uint8_t value) {
        auto access = fake_cpu.access(*space_, address, true);
        ASSERT_NE(access.byte, nullptr);
        *access.byte = value;
    }
    int read(uint64_t address) {
        auto access = fake_cpu.access(*space_, address, false);
        return access.byte ? *access.byte : -1;
    }
    FaultOutcome outcome(uint64_t address, bool write) {
        return fake_cpu.access(*space_, address, write).outcome;
    }

    void check_invariants() {
        uint64_t mapped = 0, data = 0, end = 0;
        Region* before = nullptr;
        for (Region& region : space_->regions()) {
            EXPECT_LT(region.start, region.end);
            EXPECT_GE(region.start, end);
            EXPECT_TRUE(is_page_aligned(region.start) && is_page_aligned(region.end));
            EXPECT_FALSE(before && before->can_absorb(region)) << "neighbours that were not merged";
            end = region.end;
            mapped += region.size();
            if (region.counts_as_data()) data += region.size();
            before = &region;
        }
        EXPECT_EQ(space_->mapped_bytes(), mapped);
        EXPECT_EQ(space_->data_bytes(), data);
        uint64_t resident = 0;
        (void)space_->page_table().for_each(0, kUserEnd, [&](uint64_t at, uint64_t*, bool is_huge) {
            resident += is_huge ? 512 : 1;
            EXPECT_NE(space_->find(at), nullptr) << "a page outside of all regions";
        });
        EXPECT_EQ(space_->resident_pages(), resident);
    }

    ResourceLimits limits_;
    RefPtr<AddressSpace> space_;
    size_t free_before_ = 0;
};

TEST_F(AddressSpaceTest, PagesComeOnDemand) {
    uint64_t at = map(16 * kPageSize);
    EXPECT_EQ(space_->resident_pages(), 0u);
    EXPECT_EQ(read(at + 5), 0);
    write(at + 5, 7);
    EXPECT_EQ(read(at + 5), 7);
    EXPECT_EQ(space_->resident_pages(), 1u);
}

TEST_F(AddressSpaceTest, HugePagesWhereTheyFit) {
    uint64_t at = map(4 * kHugePageSize);
    EXPECT_EQ(at % kHugePageSize, 0u);
    write(at + kHugePageSize + 12345, 1);
    EXPECT_EQ(space_->resident_pages(), 512u);
    EXPECT_EQ(read(at + kHugePageSize), 0);
}

TEST_F(AddressSpaceTest, ReadsShareAHugePageOfZeros) {
    uint64_t at = map(4 * kHugePageSize);
    size_t free_before = frame_statistics().free;
    for (uint64_t page = 0; page < 4; page++) EXPECT_EQ(read(at + page * kHugePageSize + 77), 0);
    EXPECT_GE(frame_statistics().free + 3, free_before);  // but for page tables
    write(at + 5, 1);
    EXPECT_EQ(read(at + 5), 1);
    EXPECT_EQ(read(at + kHugePageSize + 5), 0);
}

TEST_F(AddressSpaceTest, SequentialWritesGetPagesAhead) {
    uint64_t at = map(100 * kPageSize);
    for (uint64_t page = 0; page < 50; page++) {
        write(at + page * kPageSize, static_cast<uint8_t>(page));
        if (page == 0) {
            EXPECT_EQ(space_->resident_pages(), 1u);
        }
    }
    EXPECT_LT(space_->resident_pages(), 50u + 8u);
    for (uint64_t page = 0; page < 50; page++) EXPECT_EQ(read(at + page * kPageSize), int(page));
}

TEST_F(AddressSpaceTest, SmallPagesWhenMemoryIsShort) {
    std::vector<PhysAddr> hoard;
    while (frame_statistics().free > frame_statistics().total / 8) {
        hoard.push_back(allocate_frame().value());
    }
    uint64_t at = map(2 * kHugePageSize);
    write(at, 1);
    EXPECT_EQ(space_->resident_pages(), 1u);
    for (PhysAddr frame : hoard) put_frame(frame);
}

TEST_F(AddressSpaceTest, OutOfMemoryIsToldAndNothingIsLost) {
    uint64_t at = map(200 << 20, kReadWrite, kPrivate | MAP_NORESERVE);
    uint64_t page = at;
    while (outcome(page, true) == FaultOutcome::kResolved) page += kPageSize;
    EXPECT_EQ(outcome(page, true), FaultOutcome::kOutOfMemory);
    ASSERT_TRUE(space_->unmap(at, 100 << 20));
    EXPECT_EQ(outcome(at + (150 << 20), true), FaultOutcome::kResolved);
}

TEST_F(AddressSpaceTest, FaultsAreToldApart) {
    uint64_t at = map(3 * kPageSize, PROT_READ);
    ASSERT_TRUE(space_->protect(at + kPageSize, kPageSize, PROT_NONE));
    ASSERT_TRUE(space_->unmap(at + 2 * kPageSize, kPageSize));
    EXPECT_EQ(outcome(at, true), FaultOutcome::kNoAccess);
    EXPECT_EQ(outcome(at + kPageSize, false), FaultOutcome::kNoAccess);
    EXPECT_EQ(outcome(at + 2 * kPageSize, false), FaultOutcome::kNotMapped);
    EXPECT_EQ(space_->resolve_fault(at, false, true), FaultOutcome::kNoAccess);
    uint64_t object = space_
                          ->map({.size = 2 * kPageSize,
                                 .protection = kReadWrite,
                                 .flags = MAP_SHARED,
                                 .object = adopt_ref(new SharedMemory(kPageSize))})
                          .value();
    EXPECT_EQ(outcome(object + kPageSize, true), FaultOutcome::kBeyondObject);
}

TEST_F(AddressSpaceTest, PrivatePagesOfAnObjectAreCopiedOnWrite) {
    auto object = adopt_ref(new SharedMemory(4 * kPageSize));
    MapRequest request = {
        .size = 4 * kPageSize, .protection = kReadWrite, .flags = MAP_SHARED, .object = object};
    uint64_t shared = space_->map(request).value();
    request.flags = MAP_PRIVATE;
    uint64_t copy = space_->map(request).value();
    write(shared, 1);
    EXPECT_EQ(read(copy), 1);
    write(copy, 2);
    EXPECT_EQ(read(shared), 1);
    EXPECT_EQ(read(copy), 2);
    write(shared + kPageSize, 3);
    EXPECT_EQ(read(copy + kPageSize), 3);
    ASSERT_TRUE(space_->discard(copy, copy + kPageSize));
    EXPECT_EQ(read(copy), 1);
}

TEST_F(AddressSpaceTest, PagesAroundAFaultThatAreAtHand) {
    auto object = adopt_ref(new SharedMemory(64 * kPageSize));
    for (uint64_t i = 0; i < 24; i++) put_frame(object->page(i, true).value());
    uint64_t at = space_
                      ->map({.size = 64 * kPageSize,
                             .protection = PROT_READ,
                             .flags = MAP_PRIVATE,
                             .object = object})
                      .value();
    EXPECT_EQ(read(at + 20 * kPageSize), 0);
    EXPECT_GE(space_->resident_pages(), 4u);
    EXPECT_LE(space_->resident_pages(), 16u);
    uint64_t before = space_->resident_pages();
    EXPECT_EQ(read(at + 60 * kPageSize), 0);  // nothing is at hand there
    EXPECT_EQ(space_->resident_pages(), before + 1);
}

TEST_F(AddressSpaceTest, StackGrowsToItsLimit) {
    ASSERT_TRUE(limits_.set(Resource::kStack, {1 << 20, kUnlimited}, true));
    uint64_t top = space_->map_stack(false).value();
    EXPECT_EQ(outcome(top - (1 << 20), true), FaultOutcome::kResolved);
    EXPECT_EQ(outcome(top - (1 << 20) - 1, true), FaultOutcome::kNotMapped);
}

TEST_F(AddressSpaceTest, StackKeepsItsDistance) {
    uint64_t top =
        map(kPageSize, kReadWrite, kPrivate | MAP_FIXED | MAP_GROWSDOWN, kPlace) + kPageSize;
    uint64_t below = top - 400 * kPageSize;
    map(kPageSize, kReadWrite, kPrivate | MAP_FIXED, below);
    EXPECT_EQ(outcome(below + 258 * kPageSize, true), FaultOutcome::kResolved);
    EXPECT_EQ(outcome(below + 100 * kPageSize, true), FaultOutcome::kNotMapped);
}

TEST_F(AddressSpaceTest, OnePageCostsOneFlush) {
    map(kPageSize, PROT_READ);  // so that tables stay
    uint64_t before = fake_cpu.gates;
    uint64_t at = map(kPageSize);
    write(at, 1);
    ASSERT_TRUE(space_->unmap(at, kPageSize));
    EXPECT_LE(fake_cpu.gates - before, 1u);
}

TEST_F(AddressSpaceTest, UnmappingWhatWasNeverTouchedFlushesNothing) {
    map(kPageSize, PROT_READ);
    uint64_t at = map(64 * kPageSize);
    uint64_t before = fake_cpu.gates;
    ASSERT_TRUE(space_->unmap(at, 64 * kPageSize));
    EXPECT_EQ(fake_cpu.gates, before);
}

TEST_F(AddressSpaceTest, BreakMovesBothWays) {
    space_->set_break(kPlace);
    EXPECT_EQ(space_->change_break(kPlace + 5000), kPlace + 5000);
    write(kPlace + 4999, 1);
    EXPECT_EQ(space_->change_break(kPlace - 1), kPlace + 5000);
    EXPECT_EQ(space_->change_break(UINT64_MAX), kPlace + 5000);
    EXPECT_EQ(space_->change_break(kPlace), kPlace);
    EXPECT_EQ(outcome(kPlace, false), FaultOutcome::kNotMapped);
}

TEST_F(AddressSpaceTest, LowerGapsAreFoundAgain) {
    std::vector<uint64_t> places;
    for (int i = 0; i < 64; i++) {
        places.push_back(map((1 + i % 3) * kPageSize, i % 2 ? PROT_READ : kReadWrite));
    }
    for (int i = 1; i < 63; i += 3) {
        uint64_t size = (1 + i % 3) * kPageSize;
        ASSERT_TRUE(space_->unmap(places[i], size));
        EXPECT_EQ(map(size, PROT_EXEC), places[i]);
    }
}

// Operations in a window of small and huge pages, against a map from pages to their state.
class Fuzzer {
  public:
    static constexpr uint64_t kPages = 8 * 512;
    struct Page {
        int protection;
        uint8_t value;
    };

    Fuzzer(AddressSpace& space, uint64_t seed) : space_(space), random_(seed) {}

    void step() {
        uint64_t first = random_() % kPages, count = 1 + random_() % (random_() % 4 ? 20 : 1500);
        if (random_() % 8 == 0) {
            first = first / 512 * 512;
            count = 512 * (1 + random_() % 3);
        }
        if (first + count > kPages) count = kPages - first;
        switch (random_() % 10) {
            case 0:
            case 1:
                return map(first, count);
            case 2:
                return unmap(first, count);
            case 3:
                return protect(first, count);
            case 4:
                return discard(first, count);
            case 5:
                return move(first, count);
            default:
                return touch(first);
        }
    }

    void check_everything() {
        for (uint64_t page = 0; page < kPages; page++) expect_read(page);
    }

  private:
    uint64_t address(uint64_t page) { return kPlace + page * kPageSize; }
    int random_protection() {
        constexpr int kChoices[] = {kReadWrite, kReadWrite, PROT_READ, PROT_NONE};
        return kChoices[random_() % 4];
    }

    void map(uint64_t first, uint64_t count) {
        int protection = random_protection();
        ASSERT_TRUE(space_.map({.address = address(first),
                                .size = count * kPageSize,
                                .protection = protection,
                                .flags = kPrivate | MAP_FIXED}));
        for (uint64_t i = first; i < first + count; i++) model_[i] = {protection, 0};
    }
    void unmap(uint64_t first, uint64_t count) {
        ASSERT_TRUE(space_.unmap(address(first), count * kPageSize));
        model_.erase(model_.lower_bound(first), model_.lower_bound(first + count));
    }
    void protect(uint64_t first, uint64_t count) {
        int protection = random_protection();
        auto result = space_.protect(address(first), count * kPageSize, protection);
        uint64_t i = first;
        for (; i < first + count && model_.count(i); i++) model_[i].protection = protection;
        ASSERT_EQ(result.ok(), i == first + count);
    }
    void discard(uint64_t first, uint64_t count) {
        ASSERT_TRUE(space_.discard(address(first), address(first + count)));
        for (uint64_t i = first; i < first + count; i++) {
            if (model_.count(i)) model_[i].value = 0;
        }
    }
    void move(uint64_t first, uint64_t count) {
        uint64_t target = random_() % (kPages - count + 1);
        if (target < first + count && first < target + count) return;
        auto moved = space_.remap(address(first), count * kPageSize, count * kPageSize,
                                  MREMAP_MAYMOVE | MREMAP_FIXED, address(target));
        Region* region = nullptr;
        if (!moved) {
            // Only because the source is not one region; the fixed target stays as it was.
            region = space_.find(address(first));
            ASSERT_TRUE(!region || region->end < address(first + count));
            return;
        }
        for (uint64_t i = 0; i < count; i++) {
            ASSERT_TRUE(model_.count(first + i));
            model_[target + i] = model_[first + i];
            model_.erase(first + i);
        }
    }
    void touch(uint64_t page) {
        auto it = model_.find(page);
        bool may = it != model_.end() && (it->second.protection & PROT_WRITE);
        auto access = fake_cpu.access(space_, address(page), true);
        ASSERT_EQ(access.byte != nullptr, may);
        if (may) *access.byte = it->second.value = static_cast<uint8_t>(random_());
        expect_read(random_() % kPages);
    }
    void expect_read(uint64_t page) {
        auto it = model_.find(page);
        auto access = fake_cpu.access(space_, address(page), false);
        if (it == model_.end()) {
            ASSERT_EQ(access.outcome, FaultOutcome::kNotMapped);
        } else if (it->second.protection == PROT_NONE) {
            ASSERT_EQ(access.outcome, FaultOutcome::kNoAccess);
        } else {
            ASSERT_NE(access.byte, nullptr);
            ASSERT_EQ(*access.byte, it->second.value) << "page " << page;
        }
    }

    AddressSpace& space_;
    std::mt19937_64 random_;
    std::map<uint64_t, Page> model_;
};

class RandomOperations : public AddressSpaceTest, public testing::WithParamInterface<int> {};

TEST_P(RandomOperations, AgreeWithASimpleModel) {
    Fuzzer fuzzer(*space_, GetParam());
    for (int step = 0; step < 3000 && !HasFailure(); step++) {
        fuzzer.step();
        if (step % 500 == 0) check_invariants();
    }
    fuzzer.check_everything();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomOperations, testing::Range(0, 20));

}  // namespace
}  // namespace coracle
