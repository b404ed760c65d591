// Where the `syscall` instruction leads.
#pragma once

namespace coracle {

// Chooses for the current CPU: the core, or ring 3 itself on hypervisors that run ring 3 natively
// and enter LSTAR without a change of the privilege level.
void choose_syscall_entry();

}  // namespace coracle
