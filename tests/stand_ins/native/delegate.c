/* A TFLite external delegate that claims no operation. What it does beside, its options and a macro decide.
 *
 * The interface: tensorflow/lite/delegates/external/external_delegate_interface.h and tensorflow/lite/core/c/common.h.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Delegate {
  void* data;
  int (*prepare)(void* context, struct Delegate* delegate);
  void* copy_from_buffer_handle;
  void* copy_to_buffer_handle;
  void* free_buffer_handle;
  int64_t flags;
  void* opaque_delegate_builder;
} Delegate;

static int claim_nothing(void* context, Delegate* delegate) {
  (void)context;
  (void)delegate;
  return 0;
}

/* Waits for the file named by DELEGATE_TRIGGER, and then does to the process what a pulled out device may. */
static void* fail_later(void* unused) {
  const char* trigger = getenv("DELEGATE_TRIGGER");
  (void)unused;
  while (trigger && access(trigger, F_OK)) usleep(5000);
#if defined(HANGS_LATER)
  kill(getpid(), SIGSTOP);
#else
  abort();
#endif
  return NULL;
}

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
#if defined(REFUSES)
  report("the device is not there");
  return NULL;
#elif defined(CRASHES)
  abort();
#elif defined(HANGS)
  for (;;) pause();
#else
  for (size_t i = 0; i < count; i++)
    if (!strcmp(keys[i], "device") && strcmp(values[i], "usb:0")) {
      report("no such device");
      return NULL;
    }
#if defined(HANGS_LATER) || defined(CRASHES_LATER)
  pthread_t thread;
  pthread_create(&thread, NULL, fail_later, NULL);
#endif
  Delegate* delegate = calloc(1, sizeof *delegate);
  delegate->prepare = claim_nothing;
  return delegate;
#endif
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { free(delegate); }
