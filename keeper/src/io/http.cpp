#include "io/http.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <memory>

namespace pgaf::io {
namespace {

constexpr std::size_t kLargestBody = 4096;

std::size_t Receive(char *data, std::size_t size, std::size_t count, void *into) {
    auto *body = static_cast<std::string *>(into);
    const std::size_t bytes = size * count;
    if (body->size() + bytes > kLargestBody) return 0;  // ends the transfer
    body->append(data, bytes);
    return bytes;
}

struct CurlDeleter {
    void operator()(CURL *curl) const { curl_easy_cleanup(curl); }
};

}  // namespace

Result<std::string> HttpGet(const std::string &url, Milliseconds limit) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    const std::unique_ptr<CURL, CurlDeleter> curl(ready == CURLE_OK ? curl_easy_init() : nullptr);
    if (!curl) return Fail(ProblemCode::kInternal, "libcurl cannot be used");
    std::string body;
    std::array<char, CURL_ERROR_SIZE> error{};
    const auto set = [&](CURLoption option, auto value) {
        (void)curl_easy_setopt(curl.get(), option, value);
    };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_IPRESOLVE, static_cast<long>(CURL_IPRESOLVE_V4));
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FAILONERROR, 1L);
    // Some services give plain text to curl only, and a page to everybody else.
    set(CURLOPT_USERAGENT, "curl/" LIBCURL_VERSION " (pg_autoctl)");
    set(CURLOPT_ERRORBUFFER, error.data());
    set(CURLOPT_WRITEFUNCTION, &Receive);
    set(CURLOPT_WRITEDATA, static_cast<void *>(&body));
    const CURLcode code = curl_easy_perform(curl.get());
    if (code == CURLE_OK) return body;
    if (code == CURLE_WRITE_ERROR) return Fail(ProblemCode::kIo, "the answer is too long");
    return Fail(ProblemCode::kIo, error[0] != '\0' ? error.data() : curl_easy_strerror(code));
}

}  // namespace pgaf::io
