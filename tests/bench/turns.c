/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * turns.so is preloaded into the keeper and measures the turns of its loop, that is the time
 * between two waits for events. The longest turn is what anybody else may have to wait. The numbers
 * are in the file that TURNS names, where the bench reads and clears them.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds; the file's layout. */
struct turns {
    uint64_t longest, count, sum;
};

static struct turns *turns;
static uint64_t woken; /* 0: before the first wait */

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void before_wait(void)
{
    if (turns == NULL || woken == 0)
        return;
    uint64_t took = now() - woken;
    turns->count++;
    turns->sum += took;
    if (took > turns->longest)
        turns->longest = took;
}

__attribute__((constructor)) static void open_turns(void)
{
    const char *path = getenv("TURNS");
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof(*turns)) < 0)
        return;
    turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (turns == MAP_FAILED)
        turns = NULL;
    close(fd);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    if (real == NULL)
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    before_wait();
    int n = real(fd, events, most, timeout);
    woken = now();
    return n;
}

/* libsystemd has no wrapper for epoll_pwait2 of its libc's, and calls it by number. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    va_list arguments;
    long argument[6];
    if (real == NULL)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    bool waits = number == SYS_epoll_pwait2;
    if (waits)
        before_wait();
    long result =
        real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    if (waits)
        woken = now();
    return result;
}
