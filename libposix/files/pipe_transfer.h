// Moving bytes between pipes and files by page: what splice(2), tee(2) and sendfile(2) do.
//
// Each moves up to `length` bytes and returns how many; fewer if the source ends, or if going on
// would mean waiting for more than what has been moved. EAGAIN if `nonblocking`; 0: end of file.
#pragma once

#include "libposix/files/pipe.h"

namespace coracle {

// Pages of the page cache are shared, other files are read into new pages. EPIPE with SIGPIPE if
// nobody reads the pipe, EINVAL: a directory.
Result<size_t> move_file_to_pipe(File& from, uint64_t& position, Pipe& to, size_t length,
                                 bool nonblocking);
Result<size_t> move_pipe_to_file(Pipe& from, File& to, uint64_t& position, size_t length,
                                 bool nonblocking);
Result<size_t> move_pipe_to_pipe(Pipe& from, Pipe& to, size_t length, bool nonblocking);
// The bytes stay in `from`.
Result<size_t> copy_pipe_to_pipe(Pipe& from, Pipe& to, size_t length, bool nonblocking);

}  // namespace coracle
