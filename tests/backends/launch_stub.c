/* A library like one that TVM generates, as far as parallel loops go, and loops to run in it. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tvm/ffi/c_api.h>
#include <unistd.h>

typedef struct {
  void *sync_handle;
  int32_t num_task;
} Env;
typedef int (*Share)(int, Env *, void *);

int (*__TVMBackendParallelLaunch)(Share, void *, int);

enum { MOST = 1024 };
static const char FAILURE[] = "a share that fails";
typedef struct {
  _Atomic int done[MOST];
  _Atomic int wrong;
  unsigned seed;
} Loop;

static int some_work(int share, Env *env, void *data) {
  Loop *loop = data;
  /* Uneven, so that shares end and begin in any order. */
  unsigned steps = (loop->seed * 2654435761u + (unsigned)share * 40503u) % 2000;
  for (volatile unsigned n = 0; n < steps; ++n) {
  }
  if (share < 0 || share >= env->num_task) loop->wrong = 1;
  loop->done[share] += 1;
  return 0;
}

/* How many of `loops` loops of `shares` shares did not compute each exactly once. */
int wrong_loops(int loops, int shares) {
  int wrong = 0;
  for (int n = 0; n < loops; ++n) {
    Loop loop = {.seed = (unsigned)n};
    int failed = __TVMBackendParallelLaunch(some_work, &loop, shares);
    int good = !failed && !loop.wrong;
    for (int share = 0; share < MOST; ++share) good &= loop.done[share] == (share < shares);
    wrong += !good;
  }
  return wrong;
}

/* The shares of a loop that leaves their number open. */
static int number(int share, Env *env, void *data) {
  (void)share;
  *(_Atomic int *)data = env->num_task;
  return 0;
}

int shares_by_default(void) {
  _Atomic int found = 0;
  return __TVMBackendParallelLaunch(number, &found, 0) ? -1 : found;
}

/* Shares that run together: each begins, and goes on when all have begun. */
typedef struct {
  _Atomic int begun;
  int fails; /* the one that does, after that */
  int traps; /* the one that the processor stops */
  int last_us; /* how much longer the others take than the caller's */
} Meeting;

static int meet(int share, Env *env, void *data) {
  Meeting *meeting = data;
  meeting->begun += 1;
  for (int n = 0; meeting->begun < env->num_task; ++n) {
    if (n == 200000) return -1;
    usleep(100);
  }
  if (share == meeting->traps) __builtin_trap();
  if (share == meeting->fails) {
    TVMFFIErrorSetRaisedFromCStr("ValueError", FAILURE);
    return -1;
  }
  if (share != 0) usleep(meeting->last_us);
  return 0;
}

int run_together(int shares, int last_us) {
  Meeting meeting = {.fails = -1, .traps = -1, .last_us = last_us};
  return __TVMBackendParallelLaunch(meet, &meeting, shares) == 0;
}

void trap_in_a_worker(void) {
  Meeting meeting = {.fails = -1, .traps = 1};
  __TVMBackendParallelLaunch(meet, &meeting, 2);
}

/* Whether a loop of which one share fails does, and leaves that share's error to this thread. */
int fails_with_its_error(int shares, int fails) {
  Meeting meeting = {.fails = fails, .traps = -1};
  if (__TVMBackendParallelLaunch(meet, &meeting, shares) != -1) return 0;
  TVMFFIObjectHandle error = NULL;
  TVMFFIErrorMoveFromRaised(&error);
  if (!error) return 0;
  TVMFFIByteArray message = ((TVMFFIErrorCell *)((TVMFFIObject *)error + 1))->message;
  int right = message.size == strlen(FAILURE) && !memcmp(message.data, FAILURE, message.size);
  TVMFFIObjectDecRef(error);
  return right;
}

/* Shares that all fail, each with an error of its own. */
static int fail(int share, Env *env, void *data) {
  (void)env;
  TVMFFIObjectHandle *errors = data;
  TVMFFIByteArray text = {FAILURE, sizeof FAILURE - 1}, none = {"", 0};
  TVMFFIErrorCreate(&text, &text, &none, &errors[share]);
  TVMFFIErrorSetRaised(errors[share]);
  return -1;
}

/* Of so many errors, those that anybody holds when the caller has done with the one it gets. */
int leaked_errors(int shares) {
  TVMFFIObjectHandle errors[MOST] = {NULL}, raised = NULL;
  __TVMBackendParallelLaunch(fail, errors, shares);
  TVMFFIErrorMoveFromRaised(&raised);
  if (!raised) return -1;
  TVMFFIObjectDecRef(raised);
  int leaked = 0;
  for (int share = 0; share < shares; ++share) {
    uint64_t held = ((TVMFFIObject *)errors[share])->combined_ref_count & UINT32_MAX;
    leaked += held != 1;
    TVMFFIObjectDecRef(errors[share]);
  }
  return leaked;
}
