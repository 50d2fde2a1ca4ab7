/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes one call of one library function fail in the program into which it is preloaded
 * (LD_PRELOAD): call number FAULT_AT of FAULT_CALL since main began. Calls by libraries count like
 * the program's own. Which calls fail is decided by tests/faults/Faults.pm. FAULT_ERROR says how:
 *
 *     a number   the call fails with this errno
 *     short      the call transfers fewer bytes than asked for
 *     nothing    send number FAULT_AT on a socket of FAULT_FAMILY, and every later one, transfers
 * no byte and sets no errno slow       each recv that has received bytes from such a socket sleeps
 * for FAULT_AT ms
 *
 * FAULT_FILE is shared with whoever runs the program. It has the number of calls, and whether one
 * failed, however the program ends. With FAULT_CENSUS no call fails; instead each call is noted in
 * the file, with a number that identifies its stack, so that different ways to a call can be told
 * apart.
 *
 * Only failures that can happen are made: of epoll_ctl only an addition fails, because it needs
 * memory; and reading from a timer or a counter is distinguished from reading from a file.
 *
 * In one piece because it is one list of functions, each of which does the same.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define CALLS(X)                                                                                   \
    X(malloc)                                                                                      \
    X(calloc)                                                                                      \
    X(realloc)                                                                                     \
    X(reallocarray)                                                                                \
    X(strdup)                                                                                      \
    X(socket)                                                                                      \
    X(connect)                                                                                     \
    X(bind)                                                                                        \
    X(listen)                                                                                      \
    X(accept4)                                                                                     \
    X(send)                                                                                        \
    X(recv)                                                                                        \
    X(recvfrom) X(sendmsg) X(recvmsg) X(getsockopt) X(setsockopt) X(getsockname) X(read)           \
        X(read_event) X(write) X(writev) X(open) X(openat) X(close) X(ioctl) X(fstat) X(stat)      \
            X(lstat) X(fstatat) X(faccessat) X(mkdir) X(mkdirat) X(rename) X(renameat2) X(unlink)  \
                X(unlinkat) X(fsync) X(fopen) X(fdopen) X(fclose) X(fflush) X(fchmod) X(mkostemp)  \
                    X(access) X(poll) X(opendir) X(fdopendir) X(readdir) X(epoll_create1)          \
                        X(epoll_ctl) X(epoll_wait) X(eventfd) X(timerfd_create) X(signalfd)        \
                            X(inotify_init1) X(inotify_add_watch) X(pthread_create) X(io_setup)    \
                                X(io_submit) X(io_getevents)

#define ENUMERATE(name) CALL_##name,
#define NAME(name)      #name,
enum call { CALLS(ENUMERATE) CALL_COUNT };
static const char *const names[] = {CALLS(NAME)};

/* The content of FAULT_FILE. The text is the census, a line for each call. */
struct faults {
    uint32_t total;  /* calls so far */
    uint32_t struck; /* whether one failed */
    int32_t family;  /* of the socket that the failed call was for; 0 if it was for none */
    uint32_t length; /* of the text */
    char text[];
};

static struct faults *faults;
static size_t room;
static atomic_uint counts[CALL_COUNT];
static atomic_bool counting; /* from the beginning of main to its end */
static enum call chosen = CALL_COUNT;
static unsigned chosen_at;
static int chosen_error; /* 0 means short */
static int nothing;      /* sockets of this family send nothing; 0 for none */
static int slow;         /* sockets of this family receive slowly; 0 for none */
static bool census;
static char trace_path[4096];     /* a copy, because a program may change its environment */
static _Thread_local bool inside; /* calls by the interposer itself do not count */

#define TEXT_ROOM (8 << 20)

/* The next function of this name, which is a sanitizer's or the C library's. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&name) real;                                                             \
        if (real == NULL)                                                                          \
            real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                     \
        real;                                                                                      \
    })

/* --- Failing ---------------------------------------------------------------------------------- */

#define FRAMES 24

/* The range of code by which stacks are distinguished: with FAULT_BRIEF that of the program, whose
 * own functions matter more than what libraries call internally; without it, everything. */
static uintptr_t code_begin, code_end = UINTPTR_MAX;

static int find_code(struct dl_phdr_info *object, size_t size, void *argument)
{
    (void)size;
    (void)argument;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            code_begin = object->dlpi_addr + segment->p_vaddr;
            code_end = code_begin + segment->p_memsz;
        }
    }
    return 1; /* the first object is the program */
}

/* A number that identifies the stack of a call. Libraries may go deep. */
static uint64_t hash_stack(void)
{
    void *frames[4 * FRAMES];
    int n = backtrace(frames, code_begin == 0 ? FRAMES : 4 * FRAMES);
    uint64_t hash = 14695981039346656037U;
    for (int i = 2; i < n; i++) {
        uintptr_t at = (uintptr_t)frames[i];
        if (at >= code_begin && at < code_end)
            hash = (hash ^ (uint64_t)at) * 1099511628211U;
    }
    return hash;
}

static void note_call(enum call call, unsigned n)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    int length = snprintf(faults->text + faults->length, room - faults->length, "%s %u %016llx\n",
                          names[call], n, (unsigned long long)hash_stack());
    if (length > 0 && faults->length + (size_t)length < room)
        faults->length += (uint32_t)length;
    pthread_mutex_unlock(&lock);
}

/* Writes the stack of the call that failed to FAULT_FILE.trace, for debugging. */
static void write_trace(void)
{
    void *frames[FRAMES];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, trace_path,
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), fd);
    (void)syscall(SYS_close, fd);
}

/*
 * A UNIX stream socket delivers everything that was sent, and accepts as much as there is room for.
 * A keeper that is informed of changes once (EPOLLET) relies on that, as epoll(7) permits.
 */
static bool is_possible(enum call call, int family)
{
    bool impossible =
        (call == CALL_recv && chosen_error == 0) || (call == CALL_send && chosen_error == EAGAIN);
    return family != AF_UNIX || !impossible;
}

/* Whether this call is to fail; then errno is set. `fd` is -1 if the call is not for a descriptor.
 */
static bool strikes(enum call call, int fd)
{
    if (!counting || inside)
        return false;
    inside = true;
    int kept = errno;
    unsigned n = ++counts[call];
    __atomic_add_fetch(&faults->total, 1, __ATOMIC_RELAXED);
    if (census)
        note_call(call, n);
    int32_t family = 0;
    socklen_t size = sizeof(family);
    bool now = !census && call == chosen && n == chosen_at;
    if (now && fd >= 0)
        (void)syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    now = now && is_possible(call, family);
    if (now) {
        write_trace();
        faults->struck = 1;
        faults->family = family;
    }
    inside = false;
    errno = now && chosen_error != 0 ? chosen_error : kept;
    return now;
}

static bool is_of_family(int fd, int wanted)
{
    int family = 0;
    socklen_t size = sizeof(family);
    if (wanted == 0 || !counting || inside)
        return false;
    (void)syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family == wanted;
}

/* Whether this socket is one that sends nothing. */
static bool takes_nothing(int fd, size_t length)
{
    if (length == 0 || !is_of_family(fd, nothing) || ++counts[CALL_send] < chosen_at)
        return false;
    faults->struck = 1;
    errno = 0;
    return true;
}

static ssize_t delay_received(int fd, ssize_t n)
{
    if (n > 0 && is_of_family(fd, slow))
        usleep(chosen_at * 1000);
    return n;
}

/* For calls that transfer bytes: a short one continues with one byte. */
static bool fails(enum call call, int fd, size_t *length)
{
    if (!strikes(call, fd))
        return false;
    if (chosen_error != 0)
        return true;
    if (*length > 1)
        *length = 1;
    return false;
}

/* --- Beginning and end ------------------------------------------------------------------------ */

static int (*real_main)(int, char **, char **);

static void read_environment(const char *file)
{
    const char *call = getenv("FAULT_CALL"), *at = getenv("FAULT_AT"),
               *error = getenv("FAULT_ERROR");
    census = getenv("FAULT_CENSUS") != NULL;
    if (getenv("FAULT_BRIEF") != NULL)
        dl_iterate_phdr(find_code, NULL);
    snprintf(trace_path, sizeof(trace_path), "%s.trace", file);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    room = TEXT_ROOM;
    if (fd < 0 || ftruncate(fd, (off_t)(sizeof(*faults) + room)) < 0)
        abort();
    faults = mmap(NULL, sizeof(*faults) + room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (faults == MAP_FAILED)
        abort();
    for (enum call i = 0; call != NULL && i < CALL_COUNT; i++)
        if (strcmp(names[i], call) == 0)
            chosen = i;
    if (call != NULL && chosen == CALL_COUNT)
        abort(); /* a function that is not interposed would never fail, which would prove nothing */
    chosen_at = at != NULL ? (unsigned)atoi(at) : 0;
    chosen_error = error != NULL && strcmp(error, "short") != 0 ? atoi(error) : 0;
    if (error != NULL && strcmp(error, "nothing") == 0)
        nothing = atoi(getenv("FAULT_FAMILY"));
    if (error != NULL && strcmp(error, "slow") == 0)
        slow = atoi(getenv("FAULT_FAMILY"));
}

static int counted_main(int argc, char **argv, char **environment)
{
    void *frame;
    backtrace(&frame, 1); /* the first call loads a library */
    if (getenv("FAULT_FILE") != NULL) {
        read_environment(getenv("FAULT_FILE"));
        counting = true;
    }
    int result = real_main(argc, argv, environment);
    counting = false;
    return result;
}

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void), void *stack);

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void), void *stack)
{
    real_main = start;
    return REAL(__libc_start_main)(counted_main, argc, argv, init, fini, rtld_fini, stack);
}

void exit(int status)
{
    counting = false;
    REAL(exit)(status);
    __builtin_unreachable();
}

/* A process that is not dumpable could not be checked for leaks. */
int prctl(int option, ...)
{
    unsigned long a[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    return option == PR_SET_DUMPABLE ? 0 : REAL(prctl)(option, a[0], a[1], a[2], a[3]);
}

/* --- Memory ----------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
    return strikes(CALL_malloc, -1) ? NULL : REAL(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
    return strikes(CALL_calloc, -1) ? NULL : REAL(calloc)(count, size);
}

void *realloc(void *old, size_t size)
{
    return strikes(CALL_realloc, -1) ? NULL : REAL(realloc)(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    return strikes(CALL_reallocarray, -1) ? NULL : REAL(reallocarray)(old, count, size);
}

char *strdup(const char *text)
{
    return strikes(CALL_strdup, -1) ? NULL : REAL(strdup)(text);
}

/* Reading from a timer, a signal or a counter is never short and can fail with EAGAIN alone. */
static enum call kind_of_read(int fd)
{
    struct stat status;
    return REAL(fstat)(fd, &status) == 0 && (status.st_mode & S_IFMT) == 0 ? CALL_read_event
                                                                           : CALL_read;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    if (takes_nothing(fd, length))
        return 0;
    if (nothing != 0)
        return REAL(send)(fd, bytes, length, flags);
    return fails(CALL_send, fd, &length) ? -1 : REAL(send)(fd, bytes, length, flags);
}

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
    if (slow != 0)
        return delay_received(fd, REAL(recv)(fd, bytes, length, flags));
    return fails(CALL_recv, fd, &length) ? -1 : REAL(recv)(fd, bytes, length, flags);
}

ssize_t recvfrom(int fd, void *bytes, size_t length, int flags, struct sockaddr *from,
                 socklen_t *size)
{
    return strikes(CALL_recvfrom, fd) ? -1 : REAL(recvfrom)(fd, bytes, length, flags, from, size);
}

ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t size, int flags);

ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t size, int flags)
{
    if (slow != 0)
        return delay_received(fd, REAL(__recv_chk)(fd, bytes, length, size, flags));
    return fails(CALL_recv, fd, &length) ? -1 : REAL(__recv_chk)(fd, bytes, length, size, flags);
}

ssize_t read(int fd, void *bytes, size_t length)
{
    return fails(kind_of_read(fd), fd, &length) ? -1 : REAL(read)(fd, bytes, length);
}

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t size);

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t size)
{
    return fails(kind_of_read(fd), fd, &length) ? -1 : REAL(__read_chk)(fd, bytes, length, size);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    return fails(CALL_write, fd, &length) ? -1 : REAL(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct iovec first = count > 0 ? parts[0] : (struct iovec){.iov_len = 0};
    size_t length = first.iov_len;
    if (fails(CALL_writev, fd, &length))
        return -1;
    if (length == first.iov_len)
        return REAL(writev)(fd, parts, count);
    first.iov_len = length;
    return REAL(writev)(fd, &first, 1);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return strikes(CALL_sendmsg, fd) ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return strikes(CALL_recvmsg, fd) ? -1 : REAL(recvmsg)(fd, message, flags);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* AddressSanitizer calls this when a thread begins, and ends the program if it fails. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    bool within = inside;
    inside = true;
    int r = REAL(pthread_getattr_np)(thread, attributes);
    inside = within;
    return r;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

#define FAILING(fd, name, parameters, arguments)                                                   \
    int name parameters                                                                            \
    {                                                                                              \
        return strikes(CALL_##name, fd) ? -1 : REAL(name) arguments;                               \
    }

FAILING(-1, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAILING(fd, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAILING(fd, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAILING(fd, listen, (int fd, int backlog), (fd, backlog))
FAILING(fd, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
        (fd, address, size, flags))
FAILING(fd, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
        (fd, level, name, value, size))
FAILING(fd, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
        (fd, level, name, value, size))
FAILING(fd, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))

/* --- Files ------------------------------------------------------------------------------------ */

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                    \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return strikes(CALL_open, -1) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return strikes(CALL_open, -1) ? -1 : REAL(open64)(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return strikes(CALL_openat, -1) ? -1 : REAL(openat)(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return strikes(CALL_openat, -1) ? -1 : REAL(openat64)(folder, path, flags, mode);
}

/* The descriptor is closed even if the call fails. */
int close(int fd)
{
    bool struck = strikes(CALL_close, fd);
    int error = errno, r = REAL(close)(fd);
    if (!struck)
        return r;
    errno = error;
    return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    return strikes(CALL_ioctl, fd) ? -1 : REAL(ioctl)(fd, request, argument);
}

FAILING(-1, fstat, (int fd, struct stat *status), (fd, status))
FAILING(-1, stat, (const char *path, struct stat *status), (path, status))
FAILING(-1, lstat, (const char *path, struct stat *status), (path, status))
FAILING(-1, fstatat, (int folder, const char *path, struct stat *status, int flags),
        (folder, path, status, flags))
FAILING(-1, access, (const char *path, int mode), (path, mode))
FAILING(-1, fchmod, (int fd, mode_t mode), (fd, mode))
FAILING(-1, mkostemp, (char *pattern, int flags), (pattern, flags))
FAILING(-1, faccessat, (int folder, const char *path, int mode, int flags),
        (folder, path, mode, flags))
FAILING(-1, mkdir, (const char *path, mode_t mode), (path, mode))
FAILING(-1, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
FAILING(-1, rename, (const char *from, const char *to), (from, to))
FAILING(-1, renameat2,
        (int from_folder, const char *from, int to_folder, const char *to, unsigned flags),
        (from_folder, from, to_folder, to, flags))
FAILING(-1, unlink, (const char *path), (path))
FAILING(-1, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
FAILING(-1, fsync, (int fd), (fd))

FILE *fopen(const char *path, const char *mode)
{
    return strikes(CALL_fopen, -1) ? NULL : REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return strikes(CALL_fopen, -1) ? NULL : REAL(fopen64)(path, mode);
}

FILE *fdopen(int fd, const char *mode)
{
    return strikes(CALL_fdopen, -1) ? NULL : REAL(fdopen)(fd, mode);
}

/* The stream is closed even if the call fails. */
int fclose(FILE *file)
{
    bool struck = strikes(CALL_fclose, -1);
    int error = errno, r = REAL(fclose)(file);
    if (!struck)
        return r;
    errno = error;
    return EOF;
}

int fflush(FILE *file)
{
    return strikes(CALL_fflush, -1) ? EOF : REAL(fflush)(file);
}

DIR *opendir(const char *path)
{
    return strikes(CALL_opendir, -1) ? NULL : REAL(opendir)(path);
}

DIR *fdopendir(int fd)
{
    return strikes(CALL_fdopendir, -1) ? NULL : REAL(fdopendir)(fd);
}

struct dirent *readdir(DIR *folder)
{
    return strikes(CALL_readdir, -1) ? NULL : REAL(readdir)(folder);
}

/* --- The loop --------------------------------------------------------------------------------- */

FAILING(-1, epoll_create1, (int flags), (flags))
FAILING(-1, epoll_wait, (int epoll, struct epoll_event *events, int most, int milliseconds),
        (epoll, events, most, milliseconds))
FAILING(-1, poll, (struct pollfd * waiting, nfds_t count, int milliseconds),
        (waiting, count, milliseconds))
FAILING(-1, eventfd, (unsigned initial, int flags), (initial, flags))
FAILING(-1, timerfd_create, (int clock, int flags), (clock, flags))
FAILING(-1, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
FAILING(-1, inotify_init1, (int flags), (flags))
FAILING(-1, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    bool struck = operation == EPOLL_CTL_ADD && strikes(CALL_epoll_ctl, fd);
    return struck ? -1 : REAL(epoll_ctl)(epoll, operation, fd, event);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
    return strikes(CALL_pthread_create, -1)
               ? errno
               : REAL(pthread_create)(thread, attributes, start, argument);
}

/* The kernel's AIO has no functions in the C library. */
long syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    bool struck = (number == SYS_io_setup && strikes(CALL_io_setup, -1)) ||
                  (number == SYS_io_submit && strikes(CALL_io_submit, -1)) ||
                  (number == SYS_io_getevents && strikes(CALL_io_getevents, -1));
    return struck ? -1 : REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
