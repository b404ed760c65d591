#include "libposix/net/tcp/flow.h"

#include <new>

namespace coracle::net::tcp {

FlowTable::~FlowTable() {
    delete[] buckets_;
}

bool FlowTable::insert(Flow& flow) {
    // A table that cannot grow stays correct, only slower.
    if ((!buckets_ || size_ > mask_) && !grow() && !buckets_) return false;
    Flow*& bucket = buckets_[flow.hash & mask_];
    flow.next_in_bucket = bucket;
    bucket = &flow;
    flow.in_table = true;
    size_++;
    return true;
}

void FlowTable::remove(Flow& flow) {
    Flow** link = &buckets_[flow.hash & mask_];
    while (*link != &flow) link = &(*link)->next_in_bucket;
    *link = flow.next_in_bucket;
    flow.in_table = false;
    size_--;
}

bool FlowTable::grow() {
    size_t count = buckets_ ? (mask_ + 1) * 2 : 256;
    auto** buckets = new (std::nothrow) Flow*[count]();
    if (!buckets) return false;
    for (size_t i = 0; buckets_ && i <= mask_; i++) {
        while (Flow* flow = buckets_[i]) {
            buckets_[i] = flow->next_in_bucket;
            Flow*& bucket = buckets[flow->hash & (count - 1)];
            flow->next_in_bucket = bucket;
            bucket = flow;
        }
    }
    delete[] buckets_;
    buckets_ = buckets;
    mask_ = count - 1;
    return true;
}

}  // namespace coracle::net::tcp
