/* Preloaded into a process: a disk that fails, is slow or remembers what was done to it, and a wall clock that is wrong.
 *
 * FAULTY_CONTROL names a file of four doubles: seconds that the wall clock is ahead, seconds that every sync takes, the
 * error number of whatever would change a file (0: none), and, counted here, how many syncs took their time.
 * FAULTY_FILES is part of the path of the files that are concerned. Where FAULTY_JOURNAL is set, what is done to them
 * is appended there: a header (struct entry), the path, the bytes written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct entry {
  uint32_t kind; /* 'W'rite, 'T'runcate, 'S'ync, 'U'nlink, sync of a 'D'irectory */
  uint32_t path_size;
  uint64_t offset;
  uint64_t size;
};

static volatile double* control;
static const char* concerned;
static int journal = -1;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
  const char* path = getenv("FAULTY_CONTROL");
  int file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR) : -1;
  void* mapped = file < 0 ? MAP_FAILED : mmap(NULL, 4 * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) control = mapped;
  if (file >= 0) close(file);
  concerned = getenv("FAULTY_FILES");
  path = getenv("FAULTY_JOURNAL");
  if (path) journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The kind of sync that a concerned file or directory has; 0 of any other. */
static int path_of(int file, char* path, size_t room) {
  struct stat about;
  char link[32];
  if (!concerned || fstat(file, &about) || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t size = readlink(link, path, room - 1);
  path[size < 0 ? 0 : size] = 0;
  return !strstr(path, concerned) ? 0 : S_ISDIR(about.st_mode) ? 'D' : 'S';
}

static void note(uint32_t kind, const char* path, uint64_t offset, const void* bytes, uint64_t size) {
  struct entry entry = {kind, strlen(path), offset, size};
  struct iovec parts[] = {{&entry, sizeof entry}, {(void*)path, entry.path_size}, {(void*)bytes, bytes ? size : 0}};
  if (journal < 0) return;
  pthread_mutex_lock(&one_at_a_time);
  if (syscall(SYS_writev, journal, parts, 3) < 0) abort();
  pthread_mutex_unlock(&one_at_a_time);
}

static void sync_slowly(void) {
  double seconds = control ? control[1] : 0;
  struct timespec pause = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  if (seconds <= 0) return;
  nanosleep(&pause, NULL);
  control[3]++;
}

/* Whether a change is to fail: errno then says why. */
static int refused(void) {
  if (!control || control[2] == 0) return 0;
  errno = (int)control[2];
  return 1;
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  char path[4096];
  int concerns = path_of(file, path, sizeof path);
  if (concerns && refused()) return -1;
  ssize_t written = syscall(SYS_pwrite64, file, bytes, size, offset);
  if (written > 0 && concerns) note('W', path, offset, bytes, written);
  return written;
}

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) { return pwrite64(file, bytes, size, offset); }

ssize_t write(int file, const void* bytes, size_t size) {
  char path[4096];
  int concerns = path_of(file, path, sizeof path);
  if (concerns && refused()) return -1;
  ssize_t written = syscall(SYS_write, file, bytes, size);
  if (written > 0 && concerns) note('W', path, lseek64(file, 0, SEEK_CUR) - written, bytes, written);
  return written;
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_ACCMODE) != O_RDONLY && concerned && strstr(path, concerned) && refused()) return -1;
  return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open64(path, flags, mode);
}

int ftruncate64(int file, off64_t size) {
  char path[4096];
  int concerns = path_of(file, path, sizeof path);
  if (concerns && refused()) return -1;
  int failed = syscall(SYS_ftruncate, file, size);
  if (!failed && concerns) note('T', path, 0, NULL, size);
  return failed;
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

static int sync_with(long call, int file) {
  char path[4096];
  int kind = path_of(file, path, sizeof path);
  if (kind) sync_slowly();
  if (kind && refused()) return -1;
  int failed = syscall(call, file);
  if (!failed && kind) note(kind, path, 0, NULL, 0);
  return failed;
}

int fsync(int file) { return sync_with(SYS_fsync, file); }

int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }

int unlink(const char* path) {
  if (concerned && strstr(path, concerned) && refused()) return -1;
  int failed = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (!failed && concerned && strstr(path, concerned)) note('U', path, 0, NULL, 0);
  return failed;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (!failed && control && clock == CLOCK_REALTIME) now->tv_sec += (time_t)control[0];
  return failed;
}
