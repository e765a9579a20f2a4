/* Prints where libmemcached places keys: the vectors in ketama.txt.
 *
 *     apt-get install gcc libmemcached-dev
 *     cc ketama.c -lmemcached -lhashkit -o ketama && ./ketama > ketama.txt
 *
 * A line is: the hashing, the servers as in a URL, and for each of the keys key-0, key-1, .. the
 * number of its server, in base 36.
 */
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <string.h>

struct server { const char *host; int port; int weight; };

static void place(int weighted, const struct server *servers, int count) {
    memcached_st *memc = memcached_create(NULL);
    memcached_behavior_set(memc,
        weighted ? MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED : MEMCACHED_BEHAVIOR_KETAMA, 1);
    memcached_server_list_st list = NULL;
    memcached_return_t rc;
    for (int i = 0; i < count; i++)
        list = memcached_server_list_append_with_weight(
            list, servers[i].host, servers[i].port, servers[i].weight, &rc);
    memcached_server_push(memc, list);
    printf("%s ", weighted ? "ketama_weighted" : "ketama");
    for (int i = 0; i < count; i++)
        printf("%s%s:%d:%d", i ? "," : "", servers[i].host, servers[i].port, servers[i].weight);
    printf(" ");
    for (int i = 0; i < 400; i++) {
        char key[32];
        int length = snprintf(key, sizeof key, "key-%d", i);
        putchar("0123456789abcdefghijklmnopqrstuvwxyz"[memcached_generate_hash(memc, key, length)]);
    }
    printf("\n");
    memcached_server_list_free(list);
    memcached_free(memc);
}

int main(void) {
    struct server equal[] = {{"10.0.0.1", 11211, 1}, {"10.0.0.2", 11211, 1}, {"10.0.0.3", 11211, 1}};
    struct server ports[] = {{"127.0.0.1", 11301, 1}, {"127.0.0.1", 11302, 1}, {"localhost", 11303, 1},
                             {"cache.example.com", 11211, 1}};
    struct server weights[] = {{"10.0.0.1", 11211, 1}, {"10.0.0.2", 11212, 2}, {"10.0.0.3", 11211, 7}};
    struct server odd[] = {{"a", 11211, 3}, {"b", 11211, 5}, {"c", 1, 11}, {"d", 65535, 13}, {"e", 11211, 1}};
    struct server pair[] = {{"b", 11211, 1}, {"a", 11211, 1}};
    struct server one[] = {{"10.0.0.1", 11211, 1}};
    static char names[20][16];
    struct server many[20];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "cache%d", i);
        many[i] = (struct server){names[i], 11211, 1};
    }
    place(0, one, 1);
    place(0, pair, 2);
    place(0, equal, 3);
    place(0, ports, 4);
    place(0, many, 20);
    place(1, one, 1);
    place(1, pair, 2);
    place(1, equal, 3);
    place(1, ports, 4);
    place(1, many, 20);
    place(1, weights, 3);
    place(1, odd, 5);
    return 0;
}
