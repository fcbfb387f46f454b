/* User-mode Linux 6.1 keeps 2,696 bytes of a process's vector registers. A processor with AMX has 11,008, and Linux takes back all of
   them or none: the first process dies ("put_fp_registers", "Attempted to kill init"). Preloaded, this fills up what is missing:
   what is left out of the header's list of features has its initial value, and no program in the machine asks for AMX. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER 512                /* offset of the list of features, a bit for each */
#define KEPT UINT64_C(0x2ff)      /* x87, SSE, AVX, MPX, AVX-512, PKRU: what lies within the bytes that are kept */

static char whole[65536] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
    va_list given;
    va_start(given, request);
    pid_t pid = va_arg(given, pid_t);
    void *address = va_arg(given, void *);
    void *data = va_arg(given, void *);
    va_end(given);
    if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER) { /* the kernel's call gives the word by a pointer */
        long word;
        return syscall(SYS_ptrace, request, pid, address, &word) < 0 ? -1 : word;
    }
    if (request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE)
        return syscall(SYS_ptrace, request, pid, address, data);
    struct iovec *part = data, full = {whole, sizeof whole};
    uint64_t features;
    memcpy(whole, part->iov_base, part->iov_len);
    memcpy(&features, whole + HEADER, sizeof features);
    features &= KEPT;
    memcpy(whole + HEADER, &features, sizeof features);
    return syscall(SYS_ptrace, request, pid, address, &full);
}
