/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses of servers, IPv4 or IPv6. They carry no port: every lond of a network listens at the
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

/* The most that the setting resolve_addresses allows to be kept of a name. */
#define ADDRESSES_MAX 16

struct addresses {
    unsigned count;
    union address at[ADDRESSES_MAX]; /* in the order in which they are tried */
};

union address address_ipv4(struct in_addr address);

/* What connect() wants: the size of the socket address, with the port put into it. */
socklen_t address_with_port(union address *address, uint16_t port);

/* The same machine's interface; the port does not matter. */
bool address_equal(const union address *one, const union address *other);

/* "192.0.2.1" or "2001:db8::1", as inet_ntop writes it. */
#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN
const char *address_text(const union address *address, char text[ADDRESS_TEXT_SIZE]);

bool addresses_contain(const struct addresses *addresses, const union address *wanted);

/* Appends it, if it is not there yet and there are less than `most`. */
void addresses_add(struct addresses *addresses, const union address *address, unsigned most);

/* It is tried first from now on; nothing happens where it is not among them. */
void addresses_prefer(struct addresses *addresses, const union address *preferred);

#endif
