// The unwinder that libc uses for cancellation, pthread_exit and backtrace(3). As in the shared
// glibc it is that of libgcc_s.so.1 once a program has loaded it (C++ programs do), for the
// functions of one unwinder cannot be mixed with those of another; else the image's own, so that
// threads of a C program need no library.
#include <dlfcn.h>
#include <unwind.h>

extern "C" {
decltype(_Unwind_Resume) __real__Unwind_Resume;
decltype(_Unwind_ForcedUnwind) __real__Unwind_ForcedUnwind;
decltype(_Unwind_Backtrace) __real__Unwind_Backtrace;
decltype(_Unwind_GetCFA) __real__Unwind_GetCFA;
decltype(_Unwind_GetIP) __real__Unwind_GetIP;
_Unwind_Reason_Code __real___gcc_personality_v0(int, _Unwind_Action, _Unwind_Exception_Class,
                                                _Unwind_Exception*, _Unwind_Context*);
}

namespace {

struct Unwinder {
    decltype(&_Unwind_Resume) resume;
    decltype(&_Unwind_ForcedUnwind) forced_unwind;
    decltype(&_Unwind_Backtrace) backtrace;
    decltype(&_Unwind_GetCFA) get_cfa;
    decltype(&_Unwind_GetIP) get_ip;
    decltype(&__real___gcc_personality_v0) personality;
};

const Unwinder own_unwinder = {__real__Unwind_Resume,    __real__Unwind_ForcedUnwind,
                               __real__Unwind_Backtrace, __real__Unwind_GetCFA,
                               __real__Unwind_GetIP,     __real___gcc_personality_v0};
Unwinder shared_unwinder;
const Unwinder* current_unwinder = &own_unwinder;

template <typename Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

// For what starts to unwind. The library is never closed once it is in use.
const Unwinder& choose_unwinder() {
    const Unwinder* unwinder = __atomic_load_n(&current_unwinder, __ATOMIC_ACQUIRE);
    if (unwinder != &own_unwinder) return *unwinder;
    void* library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (library == nullptr) return own_unwinder;
    Unwinder found;
    if (!find(library, "_Unwind_Resume", found.resume) ||
        !find(library, "_Unwind_ForcedUnwind", found.forced_unwind) ||
        !find(library, "_Unwind_Backtrace", found.backtrace) ||
        !find(library, "_Unwind_GetCFA", found.get_cfa) ||
        !find(library, "_Unwind_GetIP", found.get_ip) ||
        !find(library, "__gcc_personality_v0", found.personality))
        return own_unwinder;
    // Threads that come here at once write the same values.
    shared_unwinder = found;
    __atomic_store_n(&current_unwinder, &shared_unwinder, __ATOMIC_RELEASE);
    return shared_unwinder;
}

}  // namespace

extern "C" {

void __wrap__Unwind_Resume(_Unwind_Exception* exception) {
    choose_unwinder().resume(exception);
    __builtin_unreachable();
}

_Unwind_Reason_Code __wrap__Unwind_ForcedUnwind(_Unwind_Exception* exception, _Unwind_Stop_Fn stop,
                                                void* argument) {
    return choose_unwinder().forced_unwind(exception, stop, argument);
}

_Unwind_Reason_Code __wrap__Unwind_Backtrace(_Unwind_Trace_Fn trace, void* argument) {
    return choose_unwinder().backtrace(trace, argument);
}

_Unwind_Reason_Code __wrap___gcc_personality_v0(int version, _Unwind_Action actions,
                                                _Unwind_Exception_Class exception_class,
                                                _Unwind_Exception* exception,
                                                _Unwind_Context* context) {
    return choose_unwinder().personality(version, actions, exception_class, exception, context);
}

// Callbacks ask about a context of the unwinder that calls them.
_Unwind_Word __wrap__Unwind_GetCFA(_Unwind_Context* context) {
    return current_unwinder->get_cfa(context);
}

_Unwind_Ptr __wrap__Unwind_GetIP(_Unwind_Context* context) {
    return current_unwinder->get_ip(context);
}

}  // extern "C"
