/*
 * crownest-launch: stands between the agent and the shell of one command (docs/protocols.md 2.3).
 *
 *   crownest-launch UID GID NPROC NOFILE FSIZE WORKSPACE CWD ENVC [NAME=VALUE ...] SHELL ARG ...
 *
 * File descriptors it is given: 0 /dev/null, 1 and 2 the output pipes, 3 the status pipe. Its own environment is empty: what a user
 * may choose arrives as arguments and reaches only the shell, so nothing hostile ever configures a process of root.
 *
 * The status pipe carries records of two 32-bit words, { code, value }. It is closed by a successful execve, so "end of file after
 * STATUS_PID" tells the agent that the shell runs. Every other record is the reason why it does not.
 *
 * The launcher ends in three ways, which is how the agent learns who was first (a user can signal neither of them):
 *   - the main process ended by itself: exit code of the main process, 128 + n when signal n killed it;
 *   - SIGTERM was asked for and the whole tree went: the launcher ends itself with SIGTERM;
 *   - SIGUSR1 (kill the tree) was asked for: the launcher ends itself with SIGKILL.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STATUS_PID = 1,           /* value: process id of the main process */
    STATUS_CWD_MISSING = 2,   /* value: errno */
    STATUS_CWD_NOT_DIRECTORY = 3,
    STATUS_CWD_OUTSIDE = 4,
    STATUS_CWD_DENIED = 5,    /* value: errno */
    STATUS_EXEC_FAILED = 6,   /* value: errno */
    STATUS_FORK_FAILED = 7,   /* value: errno */
    STATUS_SETUP_FAILED = 8,  /* value: step << 16 | errno */
};

enum { STEP_ARGUMENTS = 1, STEP_OOM, STEP_GROUPS, STEP_GID, STEP_UID, STEP_CAPABILITIES, STEP_PRIVILEGES, STEP_LIMITS, STEP_PARENT };

enum { STATUS_FD = 3, NICE = 10 };

/* capset(2), version 3. Spelled out: musl-gcc does not see the kernel's headers. */
struct capability_header { uint32_t version; int pid; };
struct capability_set { uint32_t effective, permitted, inheritable; };

struct launch {
    uid_t uid;
    gid_t gid;
    rlim_t processes, open_files, file_bytes;
    const char *workspace, *cwd;
    char **environment, **shell;
};

/* ---- the tree ------------------------------------------------------------------------------------------------------------- */

struct process {
    pid_t pid, parent;
    char state;
    char mine;
};

/* Never touched (and so never resident) until a tree is signalled. No malloc: a kill must work when memory is out. */
static struct process table[65536];

static long read_small(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    long n = read(fd, buffer, size - 1);
    close(fd);
    if (n >= 0) buffer[n] = 0;
    return n;
}

/* "/proc/<pid>/stat" without printf, which would be most of this binary. */
static void stat_path(char *out, const char *pid)
{
    size_t n = strlen(pid);
    memcpy(out, "/proc/", 6);
    memcpy(out + 6, pid, n);
    memcpy(out + 6 + n, "/stat", 6);
}

static int parse_stat(const char *text, struct process *p)
{
    /* "4711 (any name, even ') R 1') S 1 4711 ...": what follows the last parenthesis is the kernel's, the name is the user's. */
    const char *end = strrchr(text, ')');
    if (!end || end[1] != ' ' || !end[2] || end[3] != ' ') return 0;
    p->state = end[2];
    p->parent = atoi(end + 4);
    p->mine = 0;
    return 1;
}

static struct process *find(int count, pid_t pid)
{
    int low = 0, high = count - 1; /* /proc lists process ids in ascending order */
    while (low <= high) {
        int middle = (low + high) / 2;
        if (table[middle].pid == pid) return &table[middle];
        if (table[middle].pid < pid) low = middle + 1;
        else high = middle - 1;
    }
    return NULL;
}

struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* Fills the table and marks every living descendant of this process; -1 when /proc cannot be read right now. */
static int scan(void)
{
    int count = 0;
    char path[64], text[512];
    _Alignas(struct entry) char buffer[8192];
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return -1;
    for (;;) {
        long n = syscall(SYS_getdents64, proc, buffer, sizeof buffer);
        if (n <= 0) break;
        for (long at = 0; at < n;) {
            struct entry *e = (struct entry *)(buffer + at);
            at += e->length;
            if (e->name[0] < '1' || e->name[0] > '9' || strlen(e->name) > 10) continue;
            if (count == sizeof table / sizeof *table) continue;
            stat_path(path, e->name);
            if (read_small(path, text, sizeof text) <= 0) continue;
            table[count].pid = atoi(e->name);
            if (parse_stat(text, &table[count])) count++;
        }
    }
    close(proc);

    pid_t self = getpid();
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < count; i++) {
            if (table[i].mine) continue;
            struct process *parent = find(count, table[i].parent);
            if (table[i].parent == self || (parent && parent->mine)) table[i].mine = 1, changed = 1;
        }
    }
    return count;
}

static int alive(const struct process *p)
{
    return p->mine && p->state != 'Z' && p->state != 'X';
}

static void signal_tree(int signal)
{
    int count = scan();
    for (int i = 0; i < count; i++)
        if (alive(&table[i])) kill(table[i].pid, signal);
}

static void pause_us(long us)
{
    struct timespec t = { 0, us * 1000 };
    nanosleep(&t, NULL);
}

/*
 * Stops the tree until no member runs any more, so that nobody can fork ahead of the scan, then kills until none is left. A member
 * that sleeps uninterruptibly (a vfork parent) never shows as stopped, hence the bound on the first half; the second half has none.
 */
static void kill_tree(void)
{
    for (int round = 0, running = 1; running && round < 200; round++) {
        running = 0;
        int count = scan();
        if (count < 0) running = 1;
        for (int i = 0; i < count; i++) {
            if (!alive(&table[i]) || table[i].state == 'T' || table[i].state == 't') continue;
            kill(table[i].pid, SIGSTOP);
            if (table[i].state != 'D') running = 1;
        }
        if (running) pause_us(100);
    }
    for (long wait = 100;; wait = wait < 20000 ? wait * 2 : wait) {
        signal_tree(SIGKILL);
        for (;;) {
            pid_t pid = waitpid(-1, NULL, WNOHANG);
            /* As the subreaper of the tree, having no child means having no descendant. */
            if (pid < 0 && errno == ECHILD) return;
            if (pid <= 0) break;
        }
        pause_us(wait);
    }
}

/* Not every kernel or sandbox knows close_range(); a status pipe left open would leave the agent waiting for its end. */
static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
    struct rlimit r;
    int end = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 4096 ? (int)r.rlim_cur : 4096;
    for (int fd = first; fd < end; fd++) close(fd);
}

/* ---- the child ------------------------------------------------------------------------------------------------------------ */

static void report(int32_t code, int32_t value)
{
    int32_t record[2] = { code, value };
    while (write(STATUS_FD, record, sizeof record) < 0 && errno == EINTR) { }
}

static _Noreturn void fail(int32_t code, int32_t value)
{
    report(code, value);
    _exit(127);
}

static void need(int ok, int step)
{
    if (!ok) fail(STATUS_SETUP_FAILED, step << 16 | (errno & 0xffff));
}

static void limit(int resource, rlim_t value)
{
    struct rlimit r;
    need(getrlimit(resource, &r) == 0, STEP_LIMITS);
    /* What the container already limits harder cannot be raised without a capability that we do not have. */
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < value) value = r.rlim_max;
    r.rlim_cur = r.rlim_max = value;
    need(setrlimit(resource, &r) == 0, STEP_LIMITS);
}

/* As the user, so that permissions are the user's, and through one descriptor, so that nothing can be swapped after the check. */
static void enter(const char *workspace, const char *cwd)
{
    char link[] = "/proc/self/fd/0000000000", real[4096];
    struct stat status;
    size_t root = strlen(workspace);
    int fd = open(cwd, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOTDIR) fail(STATUS_CWD_NOT_DIRECTORY, errno);
        fail(errno == ENOENT || errno == ELOOP || errno == ENAMETOOLONG ? STATUS_CWD_MISSING : STATUS_CWD_DENIED, errno);
    }
    char *digit = link + sizeof link - 1;
    for (int rest = fd, i = 0; i < 10; i++, rest /= 10) *--digit = (char)('0' + rest % 10);
    /* /proc/self/fd/ knows no leading zeros. */
    char *digits = link + 14, *first = digits;
    while (*first == '0' && first[1]) first++;
    memmove(digits, first, strlen(first) + 1);
    long n = readlink(link, real, sizeof real - 1);
    if (n < 0) fail(STATUS_CWD_DENIED, errno);
    real[n] = 0;
    if (strncmp(real, workspace, root) != 0 || (real[root] && real[root] != '/')) fail(STATUS_CWD_OUTSIDE, 0);
    if (fstat(fd, &status) != 0) fail(STATUS_CWD_DENIED, errno);
    if (!S_ISDIR(status.st_mode)) fail(STATUS_CWD_NOT_DIRECTORY, ENOTDIR);
    if (fchdir(fd) != 0) fail(STATUS_CWD_DENIED, errno);
    close(fd);
}

static _Noreturn void become(const struct launch *l, pid_t launcher)
{
    fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC);
    report(STATUS_PID, getpid());
    setsid();
    /* By system call: the C library will not touch its own two signals, which posix_spawn() leaves ignored. */
    static const unsigned long default_action[8];
    for (int s = 1; s <= 64; s++) syscall(SYS_rt_sigaction, s, default_action, NULL, 8);
    umask(022);

    /* While still root: afterwards the file belongs to root. */
    int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    need(oom >= 0 && write(oom, "1000", 4) == 4, STEP_OOM);
    close(oom);
    setpriority(PRIO_PROCESS, 0, NICE);

    need(syscall(SYS_setgroups, 0, NULL) == 0, STEP_GROUPS);
    need(syscall(SYS_setresgid, l->gid, l->gid, l->gid) == 0, STEP_GID);
    need(syscall(SYS_setresuid, l->uid, l->uid, l->uid) == 0, STEP_UID);
    struct capability_header header = { 0x20080522, 0 };
    struct capability_set none[2] = { { 0 } };
    need(syscall(SYS_capset, &header, none) == 0, STEP_CAPABILITIES);
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, STEP_PRIVILEGES);

    /* A launcher that is killed (out of memory) takes the main process along: nobody would account for it any more. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    need(getppid() == launcher, STEP_PARENT);

    /* After the drop: a uid that is over its process limit at setresuid() could not execve(); so a command starts in a fork bomb. */
    limit(RLIMIT_NPROC, l->processes);
    limit(RLIMIT_NOFILE, l->open_files);
    limit(RLIMIT_FSIZE, l->file_bytes);
    limit(RLIMIT_CORE, 0);

    enter(l->workspace, l->cwd);
    sigset_t empty;
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    execve(l->shell[0], l->shell, l->environment);
    fail(STATUS_EXEC_FAILED, errno);
}

/* ---- the launcher --------------------------------------------------------------------------------------------------------- */

static unsigned long long number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno) fail(STATUS_SETUP_FAILED, STEP_ARGUMENTS << 16);
    return value;
}

static struct launch parse(int argc, char **argv)
{
    struct launch l;
    if (argc < 11) fail(STATUS_SETUP_FAILED, STEP_ARGUMENTS << 16);
    l.uid = (uid_t)number(argv[1]);
    l.gid = (gid_t)number(argv[2]);
    l.processes = number(argv[3]);
    l.open_files = number(argv[4]);
    l.file_bytes = number(argv[5]);
    l.workspace = argv[6];
    l.cwd = argv[7];
    unsigned long long environment = number(argv[8]);
    if (l.uid == 0 || l.gid == 0 || environment > (unsigned long long)argc - 10) fail(STATUS_SETUP_FAILED, STEP_ARGUMENTS << 16);
    /* Shift the variables one to the left: argv[8] makes room for the null pointer between them and the shell's arguments. */
    for (unsigned long long i = 0; i < environment; i++) argv[8 + i] = argv[9 + i];
    argv[8 + environment] = NULL;
    l.environment = argv + 8;
    l.shell = argv + 9 + environment;
    return l;
}

static _Noreturn void end_by(int signal_number)
{
    sigset_t one;
    signal(signal_number, SIG_DFL);
    kill(getpid(), signal_number);
    sigemptyset(&one);
    sigaddset(&one, signal_number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    _exit(70);
}

static _Noreturn void watch(pid_t main_process, const sigset_t *signals)
{
    int over = 0, code = 0, terminating = 0;
    for (;;) {
        int got = sigwaitinfo(signals, NULL);
        if (got == SIGUSR1) {
            kill_tree();
            end_by(SIGKILL);
        }
        if (got == SIGTERM) {
            terminating = 1;
            signal_tree(SIGTERM);
        }
        for (;;) {
            int status;
            pid_t pid = waitpid(-1, &status, WNOHANG);
            if (pid == 0 || (pid < 0 && errno != ECHILD)) break;
            /* No child means no descendant (subreaper): the tree that was told to go has gone. */
            if (pid < 0 && terminating) end_by(SIGTERM);
            if (pid < 0) break;
            if (pid != main_process) continue;
            over = 1;
            code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        if (over && !terminating) {
            /* Termination asked for before this very moment wins; what comes later finds a command that ended by itself. */
            sigset_t pending;
            sigpending(&pending);
            if (!sigismember(&pending, SIGTERM) && !sigismember(&pending, SIGUSR1)) _exit(code);
        }
    }
}

int main(int argc, char **argv)
{
    close_from(STATUS_FD + 1);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    char *arguments = argc > 1 ? argv[1] : NULL, *arguments_end = argc > 1 ? argv[argc - 1] + strlen(argv[argc - 1]) : NULL;
    struct launch l = parse(argc, argv);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would reap behind our back */

    pid_t launcher = getpid(), child = fork();
    if (child < 0) fail(STATUS_FORK_FAILED, errno);
    if (child == 0) become(&l, launcher);

    /* The pipes belong to the command alone; and a process list should not show its whole environment. */
    close_from(0);
    memset(arguments, 0, (size_t)(arguments_end - arguments));
    watch(child, &signals);
}
