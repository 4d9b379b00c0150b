#include "venue/resolve.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { RUNNING, DONE, ABANDONED };

struct tf_resolve {
    char name[TF_RESOLVE_NAME_BYTES_MAX]; /* const while the helper runs */
    tf_resolve_result_t result;           /* the helper's until `stage` is DONE, then the owner's */
    /* Exchanged once by each side (acquire and release): the second one frees. */
    _Atomic int stage;
};

static void address_add(tf_resolve_result_t *result, const struct sockaddr *address)
{
    const void *from = NULL;
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    if (address->sa_family == AF_INET)
        from = &v4->sin_addr;
    else if (address->sa_family == AF_INET6)
        from = &v6->sin6_addr;
    if (from == NULL || result->count == TF_RESOLVE_ADDRESSES_MAX)
        return;
    if (inet_ntop(address->sa_family, from, result->address[result->count], INET6_ADDRSTRLEN))
        result->count++;
}

static void look_up(const char *name, tf_resolve_result_t *result)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(name, NULL, &hints, &found);
    for (const struct addrinfo *at = found; error == 0 && at != NULL; at = at->ai_next)
        address_add(result, at->ai_addr);
    if (found != NULL)
        freeaddrinfo(found);
    if (result->count > 0)
        return;
    const char *text = "it has no address";
    if (error == EAI_SYSTEM)
        text = strerrordesc_np(errno);
    else if (error != 0)
        text = gai_strerror(error);
    (void)snprintf(result->error, sizeof result->error, "%s", text);
}

static void *resolve_run(void *context)
{
    tf_resolve_t *self = context;
    (void)pthread_setname_np(pthread_self(), "resolve");
    look_up(self->name, &self->result);
    if (atomic_exchange_explicit(&self->stage, DONE, memory_order_acq_rel) == ABANDONED)
        tf_mem_free(self);
    return NULL;
}

tf_status_t tf_resolve_start(tf_resolve_t **out, const char *name)
{
    pthread_t thread;
    *out = NULL;
    TF_ASSERT(strlen(name) < TF_RESOLVE_NAME_BYTES_MAX);
    tf_resolve_t *self = tf_mem_calloc(1, sizeof *self);
    if (self == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory to resolve %s", name);
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    int error = pthread_create(&thread, NULL, resolve_run, self);
    if (error != 0) {
        tf_mem_free(self);
        return tf_error(TF_ERR_SYS, "no thread to resolve %s: %s", name, strerrordesc_np(error));
    }
    (void)pthread_detach(thread);
    *out = self;
    return TF_OK;
}

bool tf_resolve_poll(tf_resolve_t **resolve, tf_resolve_result_t *out)
{
    tf_resolve_t *self = *resolve;
    if (atomic_load_explicit(&self->stage, memory_order_acquire) != DONE)
        return false;
    *out = self->result;
    tf_mem_free(self);
    *resolve = NULL;
    return true;
}

void tf_resolve_abandon(tf_resolve_t **resolve)
{
    tf_resolve_t *self = *resolve;
    *resolve = NULL;
    if (self != NULL &&
        atomic_exchange_explicit(&self->stage, ABANDONED, memory_order_acq_rel) == DONE)
        tf_mem_free(self);
}
