// What the seccomp profile must refuse, asked of the kernel by a process inside a sandbox. One line per question:
// "ok NAME" or "not ok NAME: what happened". Static, so that it runs in every template.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#define __NR_io_uring_enter 426
#define __NR_io_uring_register 427
#endif
#ifndef __NR_clone3
#define __NR_clone3 435
#endif

static void refused(const char *name, long result, int wanted)
{
    int error = errno;
    if (result == -1 && error == wanted) printf("ok %s is refused\n", name);
    else if (result == -1) printf("not ok %s: %s instead of %s\n", name, strerror(error), strerror(wanted));
    else printf("not ok %s: allowed (%ld)\n", name, result);
}

static void allowed(const char *name, long result)
{
    if (result >= 0) printf("ok %s is allowed\n", name);
    else printf("not ok %s: %s\n", name, strerror(errno));
}

// A clone with flags that make a namespace; a child, should there be one, leaves at once.
static long clone_with(unsigned long flags)
{
    long pid = syscall(__NR_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid((pid_t)pid, NULL, 0);
    return pid;
}

#ifdef __x86_64__
// getpid by the 32-bit entry: the filter knows no such architecture and ends the process.
static void thirty_two_bit(void)
{
    pid_t pid = fork();
    if (pid == 0)
    {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
        _exit(result > 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) printf("ok a 32-bit call ends its process\n");
    else printf("not ok a 32-bit call: status %d\n", status);
}
#endif

int main(void)
{
    char block[256];
    memset(block, 0, sizeof block);

    refused("io_uring_setup", syscall(__NR_io_uring_setup, 4, block), EPERM);
    refused("io_uring_enter", syscall(__NR_io_uring_enter, -1, 0, 0, 0, 0, 0), EPERM);
    refused("io_uring_register", syscall(__NR_io_uring_register, -1, 0, 0, 0), EPERM);
    refused("unshare(CLONE_NEWUSER)", unshare(CLONE_NEWUSER), EPERM);
    refused("unshare(CLONE_NEWNET)", unshare(CLONE_NEWNET), EPERM);
    refused("clone(CLONE_NEWUSER)", clone_with(CLONE_NEWUSER), EPERM);
    refused("clone(CLONE_NEWNS)", clone_with(CLONE_NEWNS), EPERM);
    refused("clone(CLONE_NEWPID)", clone_with(CLONE_NEWPID), EPERM);
    refused("clone3", syscall(__NR_clone3, block, 88), ENOSYS);
    refused("setns", syscall(__NR_setns, 0, 0), EPERM);
    refused("keyctl", syscall(__NR_keyctl, 0, -3, 1), EPERM);
    refused("add_key", syscall(__NR_add_key, "user", "probe", "x", 1, -3), EPERM);
    refused("bpf", syscall(__NR_bpf, 0, block, 72), EPERM);
    refused("perf_event_open", syscall(__NR_perf_event_open, block, 0, -1, -1, 0), EPERM);
    refused("userfaultfd", syscall(__NR_userfaultfd, 1), EPERM);
    refused("mount", syscall(__NR_mount, "none", "/tmp", "tmpfs", 0, 0), EPERM);
    refused("umount2", syscall(__NR_umount2, "/tmp", 2), EPERM);
    refused("pivot_root", syscall(__NR_pivot_root, "/", "/"), EPERM);
    refused("chroot", syscall(__NR_chroot, "/tmp"), EPERM);
    refused("open_by_handle_at", syscall(__NR_open_by_handle_at, -1, block, 0), EPERM);
    refused("init_module", syscall(__NR_init_module, block, 0, ""), EPERM);
    refused("kexec_load", syscall(__NR_kexec_load, 0, 0, 0, 0), EPERM);
    refused("reboot", syscall(__NR_reboot, 0, 0, 0, 0), EPERM);
    refused("swapon", syscall(__NR_swapon, "/tmp", 0), EPERM);
    refused("personality(READ_IMPLIES_EXEC)", personality(READ_IMPLIES_EXEC), EPERM);
    refused("socket(AF_VSOCK)", socket(40, SOCK_STREAM, 0), EPERM);
    refused("socket(AF_ALG)", socket(38, SOCK_SEQPACKET, 0), EPERM);
    refused("socket(AF_PACKET)", socket(17, SOCK_RAW, 0), EPERM);
#ifdef __x86_64__
    refused("modify_ldt", syscall(__NR_modify_ldt, 0, block, 16), EPERM);
    refused("iopl", syscall(__NR_iopl, 3), EPERM);
    thirty_two_bit();
#endif

    allowed("personality (ask)", personality(0xffffffff));
    allowed("socket(AF_INET)", socket(AF_INET, SOCK_STREAM, 0));
    allowed("socket(AF_INET6)", socket(AF_INET6, SOCK_STREAM, 0));
    allowed("socket(AF_UNIX)", socket(AF_UNIX, SOCK_STREAM, 0));
    allowed("fork", clone_with(0));
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) printf("ok no_new_privs is set\n");
    else printf("not ok no_new_privs is not set\n");
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2) printf("ok a filter is in force\n");
    else printf("not ok no filter is in force\n");
    return 0;
}
