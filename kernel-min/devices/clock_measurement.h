// How the clock's measurement (clock_source.h) gets the kernel lock: rate and base change under the
// lock held alone, and are read under it held locally.
#pragma once

namespace coracle {

// Whether this CPU's timer measures the clock: then its interrupts are to be handled under the lock
// held alone, until the rate is final.
bool timer_measures_clock();

}  // namespace coracle
