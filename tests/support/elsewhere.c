/* Preloaded, it makes a machine look like another one: -DCLOCK, -DHOST, -DCPUS and -DORDER choose in what.
 *
 * CLOCK: 400 days later. HOST: another name. CPUS: 7 processors. ORDER: folders are read backwards. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <dlfcn.h>

#ifdef CLOCK
#define LATER (400L * 86400)

int clock_gettime(clockid_t clock, struct timespec* now) {
  int status = syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) {
    now->tv_sec += LATER;
  }
  return status;
}

int gettimeofday(struct timeval* now, void* zone) {
  int status = syscall(SYS_gettimeofday, now, zone);
  now->tv_sec += LATER;
  return status;
}

time_t time(time_t* where) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (where != NULL) *where = now.tv_sec;
  return now.tv_sec;
}
#endif

#ifdef HOST
static const char kName[] = "elsewhere.example";

int gethostname(char* name, size_t size) {
  strncpy(name, kName, size);
  return 0;
}

int uname(struct utsname* all) {
  int status = syscall(SYS_uname, all);
  strcpy(all->nodename, kName);
  return status;
}
#endif

#ifdef CPUS
enum { kProcessors = 7 };

long sysconf(int name) {
  static long (*real)(int);
  if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) return kProcessors;
  if (real == NULL) real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
  return real(name);
}

int get_nprocs(void) { return kProcessors; }
int get_nprocs_conf(void) { return kProcessors; }

int sched_getaffinity(pid_t process, size_t size, cpu_set_t* set) {
  (void)process;
  memset(set, 0, size);
  for (int i = 0; i < kProcessors; ++i) CPU_SET_S(i, size, set);
  return 0;
}
#endif

#ifdef ORDER
struct Listing {
  DIR* folder;
  struct dirent** entries;
  long left;
  struct Listing* next;
};

static struct Listing* listings;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static struct Listing* Find(DIR* folder) {
  struct Listing* found = listings;
  while (found != NULL && found->folder != folder) found = found->next;
  return found;
}

static void Forget(DIR* folder) {
  for (struct Listing** place = &listings; *place != NULL; place = &(*place)->next) {
    struct Listing* found = *place;
    if (found->folder != folder) continue;
    *place = found->next;
    free(found); /* its entries stay: whoever reads may still look at the last one */
    return;
  }
}

static struct Listing* Read(DIR* folder) {
  struct dirent* (*real)(DIR*) = (struct dirent * (*)(DIR*)) dlsym(RTLD_NEXT, "readdir");
  struct Listing* made = calloc(1, sizeof *made);
  made->folder = folder;
  made->next = listings;
  listings = made;
  for (struct dirent* entry; (entry = real(folder)) != NULL;) {
    made->entries = realloc(made->entries, (made->left + 1) * sizeof *made->entries);
    made->entries[made->left] = malloc(entry->d_reclen);
    memcpy(made->entries[made->left++], entry, entry->d_reclen);
  }
  return made;
}

struct dirent* readdir(DIR* folder) {
  pthread_mutex_lock(&guard);
  struct Listing* found = Find(folder);
  if (found == NULL) found = Read(folder);
  struct dirent* entry = found->left > 0 ? found->entries[--found->left] : NULL;
  pthread_mutex_unlock(&guard);
  return entry;
}

struct dirent64* readdir64(DIR* folder) { return (struct dirent64*)readdir(folder); /* the same on 64 bits */ }

int closedir(DIR* folder) {
  int (*real)(DIR*) = (int (*)(DIR*))dlsym(RTLD_NEXT, "closedir");
  pthread_mutex_lock(&guard);
  Forget(folder);
  pthread_mutex_unlock(&guard);
  return real(folder);
}

void rewinddir(DIR* folder) {
  void (*real)(DIR*) = (void (*)(DIR*))dlsym(RTLD_NEXT, "rewinddir");
  pthread_mutex_lock(&guard);
  Forget(folder);
  pthread_mutex_unlock(&guard);
  real(folder);
}
#endif
