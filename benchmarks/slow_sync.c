/* A slow disk: every fsync and fdatasync of a process that preloads this takes SLOW_SYNC_US microseconds longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(const char *call, int file)
{
    const char *more = getenv("SLOW_SYNC_US");
    if (more != NULL)
        usleep((useconds_t)atol(more));
    return ((int (*)(int))dlsym(RTLD_NEXT, call))(file);
}

int fsync(int file) { return slowly("fsync", file); }

int fdatasync(int file) { return slowly("fdatasync", file); }
