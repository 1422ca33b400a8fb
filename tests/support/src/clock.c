// Loaded before the C library (LD_PRELOAD): the time of day is off by as many milliseconds as the file says that
// SHIFTED_CLOCK names. The file is mapped, so that a clock can be set while the program runs.
// Clocks that only grow are left alone, as they are by whoever sets the clock of a real machine.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static volatile int64_t *shift;

// The program gets no wrong time by a mistake of the test: it ends.
__attribute__((constructor)) static void prepare(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("SHIFTED_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (!real || mapped == MAP_FAILED) {
        abort();
    }
    close(file);
    shift = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) {
        prepare();
    }
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = *shift;
        int64_t ns = now->tv_nsec + ms % 1000 * 1000000;
        int64_t carry = ns < 0 ? -1 : ns / 1000000000;
        now->tv_sec += ms / 1000 + carry;
        now->tv_nsec = ns - carry * 1000000000;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (into) {
        *into = precise.tv_sec;
    }
    return precise.tv_sec;
}
