/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses of servers, IPv4 or IPv6. They contain no port: every lond of a network listens on the
 * same one (londPort), which is added when a connection is opened.
 */
#ifndef LONC_KEEPER_NET_ADDRESS_H
#define LONC_KEEPER_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* The upper bound of the setting resolve_addresses. */
#define ADDRESSES_MAX 16

struct addresses {
    unsigned count;
    union address at[ADDRESSES_MAX]; /* in the order in which they are tried */
};

union address address_ipv4(struct in_addr address);

/* Stores the port, and returns the size of the socket address, for connect(). */
socklen_t address_with_port(union address *address, uint16_t port);

/* Whether both are the same address; the port does not matter. */
bool address_equal(const union address *one, const union address *other);

/* Writes the address as inet_ntop() does ("192.0.2.1", "2001:db8::1"). Returns `text`. */
#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN
const char *address_text(const union address *address, char text[ADDRESS_TEXT_SIZE]);

bool addresses_contain(const struct addresses *addresses, const union address *wanted);

/* Appends an address, unless it is in the list already or the list has `most`. */
void addresses_add(struct addresses *addresses, const union address *address, unsigned most);

/* Moves an address to the front, to be tried first. Does nothing if it is not in the list. */
void addresses_prefer(struct addresses *addresses, const union address *preferred);

#endif
