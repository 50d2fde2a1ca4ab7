/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses of servers, and short lists of them.
 */
#include <arpa/inet.h>
#include <string.h>

#include "keeper/net/address.h"

union address address_ipv4(struct in_addr address)
{
    return (union address){.ipv4 = {.sin_family = AF_INET, .sin_addr = address}};
}

socklen_t address_with_port(union address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET) {
        address->ipv4.sin_port = htons(port);
        return sizeof(address->ipv4);
    }
    address->ipv6.sin6_port = htons(port);
    return sizeof(address->ipv6);
}

bool address_equal(const union address *one, const union address *other)
{
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->ipv4.sin_addr.s_addr == other->ipv4.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&one->ipv6.sin6_addr, &other->ipv6.sin6_addr);
}

const char *address_text(const union address *address, char text[ADDRESS_TEXT_SIZE])
{
    const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->ipv4.sin_addr
                                                          : (const void *)&address->ipv6.sin6_addr;
    return inet_ntop(address->any.sa_family, bytes, text, ADDRESS_TEXT_SIZE);
}

/* The place of an address in the list, or `count`. */
static unsigned find_address(const struct addresses *addresses, const union address *wanted)
{
    unsigned i = 0;
    while (i < addresses->count && !address_equal(&addresses->at[i], wanted))
        i++;
    return i;
}

bool addresses_contain(const struct addresses *addresses, const union address *wanted)
{
    return find_address(addresses, wanted) < addresses->count;
}

void addresses_add(struct addresses *addresses, const union address *address, unsigned most)
{
    if (addresses->count < most && addresses->count < ADDRESSES_MAX &&
        !addresses_contain(addresses, address))
        addresses->at[addresses->count++] = *address;
}

void addresses_prefer(struct addresses *addresses, const union address *preferred)
{
    unsigned place = find_address(addresses, preferred);
    if (place == addresses->count)
        return;
    union address first = addresses->at[place];
    memmove(&addresses->at[1], &addresses->at[0], place * sizeof(first));
    addresses->at[0] = first;
}
