// For what a hot path seldom calls: such a function saves all registers that it uses, so that its
// callers need not set up a frame in case they call it.
#pragma once

#ifdef __SSE2__  // Host tests: vector registers could not be kept.
#define SELDOM [[gnu::noinline, gnu::cold]]
#else
#define SELDOM [[gnu::noinline, gnu::cold, gnu::no_caller_saved_registers]]
#endif
