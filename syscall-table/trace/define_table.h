// TABLE(name, "X_???", N(X_A), N(X_B)) defines a table of tables.h. For tables_*.cpp only.
#pragma once

#include "syscall-table/trace/tables.h"

#define N(constant) \
    { static_cast<uint64_t>(constant), #constant }
#define TABLE(table, unknown, ...)                                                                \
    static constexpr Constant table##_entries[] = {__VA_ARGS__};                                  \
    constexpr ConstantTable table = {table##_entries, sizeof(table##_entries) / sizeof(Constant), \
                                     unknown}
