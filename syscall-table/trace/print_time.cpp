// Times: timespec, timeval and what is made of them.
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <utime.h>

#include "kernel-min/lib/result.h"
#include "syscall-table/trace/fields.h"
#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

// 1970-01-01T00:00:00.000+0000: a time stamp, in UTC, with so many digits if there is a fraction.
void put_date(Line& line, int64_t seconds, int64_t nanoseconds, unsigned digits) {
    constexpr int64_t kDay = 86400;
    int64_t days = seconds / kDay;
    int64_t rest = seconds % kDay;
    if (rest < 0) {
        rest += kDay;
        --days;
    }
    // Civil date from days since 1970 in the Gregorian calendar, in eras of 400 years from March 1
    // of year 0.
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted_month = (5 * day_of_year + 2) / 153;
    const int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);

    const auto put_two = [&](int64_t number) {
        line.put(static_cast<char>('0' + number / 10));
        line.put(static_cast<char>('0' + number % 10));
    };
    line.put_decimal(year);
    line.put('-');
    put_two(month);
    line.put('-');
    put_two(day);
    line.put('T');
    put_two(rest / 3600);
    line.put(':');
    put_two(rest / 60 % 60);
    line.put(':');
    put_two(rest % 60);
    if (nanoseconds != 0) {
        line.put('.');
        int64_t digit = 100'000'000;
        for (unsigned i = 0; i < digits; ++i, digit /= 10) {
            line.put(static_cast<char>('0' + nanoseconds / digit % 10));
        }
    }
    line.put("+0000");
}

bool is_interruption(long result) {
    return result == -EINTR || result == -kErestartRestartblock || result == -kErestartnohand;
}

void put_pair(Line& line, std::string_view first, int64_t seconds, std::string_view second,
              int64_t fraction) {
    line.put(first);
    line.put_decimal(seconds);
    line.put(second);
    line.put_decimal(fraction);
    line.put('}');
}

}  // namespace

void print_timespec(Call& call, const struct timespec& time) {
    put_pair(call.line, "{tv_sec=", time.tv_sec, ", tv_nsec=", time.tv_nsec);
}

void print_utime_timespec(Call& call, const struct timespec& time) {
    if (time.tv_nsec == UTIME_NOW) {
        call.line.put("UTIME_NOW");
    } else if (time.tv_nsec == UTIME_OMIT) {
        call.line.put("UTIME_OMIT");
    } else {
        print_timespec(call, time);
        call.line.put(" /* ");
        put_date(call.line, time.tv_sec, time.tv_nsec, 9);
        call.line.put(" */");
    }
}

void print_timeval(Call& call, const struct timeval& time) {
    put_pair(call.line, "{tv_sec=", time.tv_sec, ", tv_usec=", time.tv_usec);
}

void print_utime_timeval(Call& call, const struct timeval& time) {
    print_timeval(call, time);
    call.line.put(" /* ");
    put_date(call.line, time.tv_sec, time.tv_usec * 1000, 6);
    call.line.put(" */");
}

void print_utimbuf(Call& call, const struct utimbuf& times) {
    const auto put = [&](std::string_view name, int64_t seconds) {
        call.line.put(name);
        call.line.put_decimal(seconds);
        call.line.put(" /* ");
        put_date(call.line, seconds, 0, 0);
        call.line.put(" */");
    };
    put("{actime=", times.actime);
    put(", modtime=", times.modtime);
    call.line.put('}');
}

// The rest of a sleep, which is stored only if a signal ended it.
void print_remaining_time(Call& call, uint64_t address, uint64_t) {
    struct timespec rest;
    if (call.failed() && is_interruption(call.result) && call.read(rest, address)) {
        print_timespec(call, rest);
    } else {
        call.line.put_pointer(address);
    }
}

void print_timezone(Call& call, const struct timezone& zone) {
    put_pair(call.line, "{tz_minuteswest=", zone.tz_minuteswest, ", tz_dsttime=", zone.tz_dsttime);
}

void print_itimerspec(Call& call, const struct itimerspec& timer) {
    put_two(call, "{it_interval=", timer.it_interval, ", it_value=", timer.it_value,
            print_timespec);
    call.line.put('}');
}

void print_itimerval(Call& call, const struct itimerval& timer) {
    put_two(call, "{it_interval=", timer.it_interval, ", it_value=", timer.it_value,
            print_timeval);
    call.line.put('}');
}

void print_time_result(Call& call, int64_t seconds) {
    call.line.put_decimal(seconds);
    call.line.put(" (");
    put_date(call.line, seconds, 0, 0);
    call.line.put(')');
}

void print_tms(Call& call, const struct tms& times) {
    Line& line = call.line;
    line.put("{tms_utime=");
    line.put_decimal(times.tms_utime);
    line.put(", tms_stime=");
    line.put_decimal(times.tms_stime);
    line.put(", tms_cutime=");
    line.put_decimal(times.tms_cutime);
    line.put(", tms_cstime=");
    line.put_decimal(times.tms_cstime);
    line.put('}');
}

}  // namespace coracle::trace
