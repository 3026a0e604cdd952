/* A wall clock that somebody else sets, and a disk that is full when somebody says so; for every program that loads this.

   The file CLOCK holds two longs: seconds to add to the wall clock (the monotonic one stays), and whether writing to a
   file fails with ENOSPC. It is mapped, so a change acts at once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long nothing[2];
static const volatile long *set = nothing;

__attribute__((constructor)) static void begin(void) {
  int file = open(CLOCK, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(0, sizeof nothing, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) set = mapped;
  close(file);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int failed = real(clock, now);
  if (!failed && clock == CLOCK_REALTIME) now->tv_sec += set[0];
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec, now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place) *place = now.tv_sec;
  return now.tv_sec;
}

static int is_full(int file) {
  struct stat about;
  return set[1] && !fstat(file, &about) && S_ISREG(about.st_mode) && (errno = ENOSPC);
}

ssize_t write(int file, const void *data, size_t size) {
  REAL(write);
  return is_full(file) ? -1 : real(file, data, size);
}

int fsync(int file) {
  REAL(fsync);
  return is_full(file) ? -1 : real(file);
}
