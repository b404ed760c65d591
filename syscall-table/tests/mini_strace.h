// A tracer by ptrace(2) around the kernel's formatter: what --trace would print, for a program that
// runs on the host.
#pragma once

#include <string>
#include <vector>

// Runs the program with address randomisation off and no environment but `environment`; returns a
// line for each system call, from the execve on, and for its signals and its end.
std::vector<std::string> trace_program(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment);
