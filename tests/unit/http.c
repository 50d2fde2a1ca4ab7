/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests on descriptor 0, a real connection whose other end is the test's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/loncctl/metrics/http.h"
#include "keeper/loncctl/metrics/httpd.h"

static int client;
static struct http_request request;
static char answer[65536];

static void begin(void)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(dup2(pair[0], 0), 0);
    close(pair[0]);
    client = pair[1];
}

static void end(void)
{
    close(client);
}

TestSuite(http, .init = begin, .fini = end, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

/* The client sends this and nothing more. Returns what http_read_request() says. */
static bool read_request(const char *bytes, size_t length)
{
    cr_assert_eq(send(client, bytes, length, 0), (ssize_t)length);
    cr_assert_eq(shutdown(client, SHUT_WR), 0);
    return http_read_request(&request, "/metrics");
}

/* What the client has been sent. */
static const char *received(void)
{
    ssize_t n = recv(client, answer, sizeof(answer) - 1, MSG_DONTWAIT);
    answer[n > 0 ? n : 0] = '\0';
    return answer;
}

static void expect_accepted(const char *text)
{
    cr_expect(read_request(text, strlen(text)), "%s", text);
    cr_expect_str_eq(received(), "");
}

/* The status line begins so, and the body is this. */
static void expect_refused(const char *bytes, size_t length, const char *status, const char *body)
{
    cr_expect_not(read_request(bytes, length));
    const char *text = received(), *end_of_head = strstr(text, "\r\n\r\n");
    cr_assert_not_null(end_of_head, "no answer: %s", text);
    cr_expect_eq(strncmp(text, "HTTP/1.1 ", 9), 0);
    cr_expect_eq(strncmp(text + 9, status, strlen(status)), 0, "%s, not %.20s", status, text + 9);
    cr_expect_str_eq(end_of_head + 4, body);
    cr_expect_not_null(strstr(text, "\r\nConnection: close\r\n"));
}

static void expect_bad(const char *text, const char *sentence)
{
    expect_refused(text, strlen(text), "400 Bad Request\r\n", sentence);
}

#define HOST "Host: x\r\n"

/* --- What is accepted ------------------------------------------------------------------------- */

Test(http, a_GET_is_accepted)
{
    expect_accepted("GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    cr_expect_not(request.head_only);
}

Test(http, a_HEAD_of_HTTP_1_0_needs_no_host)
{
    expect_accepted("HEAD /metrics HTTP/1.0\r\n\r\n");
    cr_expect(request.head_only);
}

Test(http, a_query_and_a_server_in_the_target_do_not_matter)
{
    expect_accepted("GET http://x:9663/metrics?a=b HTTP/1.1\r\n" HOST "\r\n");
}

Test(http, lines_may_end_in_a_bare_LF)
{
    expect_accepted("GET /metrics HTTP/1.1\nHost: x\nAccept: y\n\n");
    cr_expect_str_eq(http_header(&request, "accept"), "y");
}

Test(http, a_header_is_found_by_its_name_in_any_case_and_only_by_all_of_it)
{
    expect_accepted("GET /metrics HTTP/1.1\r\nAccepted: no\r\nHOST:x\r\naCCept: \t text/plain\r\n"
                    "Accept: second\r\n\r\n");
    cr_expect_str_eq(http_header(&request, "Accept"), "text/plain");
    cr_expect_str_eq(http_header(&request, "Host"), "x");
    cr_expect_null(http_header(&request, "Cookie"));
}

Test(http, bytes_behind_the_head_are_none_of_it)
{
    expect_accepted("GET /metrics HTTP/1.1\r\n" HOST "\r\nAccept: body\r\n\r\n");
    cr_expect_null(http_header(&request, "Accept"));
}

/* --- What is refused -------------------------------------------------------------------------- */

Test(http, another_path_is_not_found)
{
    static const char text[] = "GET /metrics/ HTTP/1.1\r\n" HOST "\r\n";
    expect_refused(text, strlen(text), "404 Not Found\r\n", "there is nothing here\n");
}

Test(http, another_method_is_not_allowed_and_those_that_are_are_named)
{
    static const char text[] = "POST /metrics HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody";
    expect_refused(text, strlen(text), "405 Method Not Allowed\r\n",
                   "only GET and HEAD are supported\n");
    cr_expect_not_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
}

Test(http, HTTP_1_1_needs_a_host)
{
    expect_bad("GET /metrics HTTP/1.1\r\nHosts: x\r\n\r\n", "the Host header is missing\n");
}

Test(http, a_NUL_byte_is_refused)
{
    static const char text[] = "GET /metrics HTTP/1.1\r\n" HOST "X: \0\r\n\r\n";
    expect_refused(text, sizeof(text) - 1, "400 Bad Request\r\n",
                   "the request contains a NUL byte\n");
}

Test(http, half_a_request_is_refused)
{
    expect_bad("GET /metrics HTTP/1.1\r\n" HOST, "the request is incomplete\n");
}

Test(http, a_request_line_has_three_words)
{
    expect_bad("GET /metrics\r\n\r\n", "this is not an HTTP/1 request\n");
}

Test(http, a_request_line_has_no_fourth_word)
{
    expect_bad("GET /metrics HTTP/1.1 x\r\n" HOST "\r\n", "this is not an HTTP/1 request\n");
}

Test(http, another_version_is_refused)
{
    expect_bad("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "this is not an HTTP/1 request\n");
}

Test(http, a_head_that_is_too_large_is_refused)
{
    static char text[HTTP_HEAD_MAX + 1];
    memset(text, 'x', HTTP_HEAD_MAX);
    expect_bad(text, "the request is too large\n");
}

Test(http, a_client_that_leaves_without_a_word_is_told_nothing)
{
    cr_expect_not(read_request("", 0));
    cr_expect_str_eq(received(), "");
}

/* --- The answer ------------------------------------------------------------------------------- */

Test(http, an_answer_says_its_type_and_length)
{
    expect_accepted("GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    http_answer(&request, "text/plain", "lonc_up 1\n", 10);
    cr_expect_eq(strncmp(received(), "HTTP/1.1 200 OK\r\n", 17), 0);
    cr_expect_not_null(strstr(answer, "\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n"));
    cr_expect_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\nlonc_up 1\n");
}

Test(http, an_answer_to_HEAD_has_the_length_and_no_body)
{
    expect_accepted("HEAD /metrics HTTP/1.1\r\n" HOST "\r\n");
    http_answer(&request, "text/plain", "lonc_up 1\n", 10);
    cr_expect_not_null(strstr(received(), "\r\nContent-Length: 10\r\n"));
    cr_expect_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

/* Closing with bytes unread would take the answer away. */
Test(http, what_the_client_still_sends_is_read_before_the_connection_is_closed)
{
    static const char text[] = "POST /metrics HTTP/1.1\r\n" HOST "Content-Length: 30000\r\n\r\n";
    static char body[30000];
    char byte;
    cr_assert_eq(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
    cr_assert_eq(send(client, body, sizeof(body), 0), (ssize_t)sizeof(body));
    cr_assert_eq(shutdown(client, SHUT_WR), 0);
    cr_expect_not(http_read_request(&request, "/metrics"));
    cr_expect_eq(recv(0, &byte, 1, MSG_DONTWAIT), 0, "bytes are left");
}

Test(http, a_client_that_has_gone_does_no_harm)
{
    expect_accepted("GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    close(client);
    client = -1;
    http_answer(&request, "text/plain", "lonc_up 1\n", 10);
}

Test(http, a_connection_is_no_listener)
{
    cr_expect_not(httpd_is_listener());
}
