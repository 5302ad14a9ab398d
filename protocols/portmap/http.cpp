#include "protocols/portmap/http.h"

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>
#include <chrono>

#include "protocols/io/stream.h"
#include "protocols/portmap/gateway.h"

namespace flaresim::portmap {
namespace {

namespace http = boost::beast::http;

constexpr auto exchange_limit = std::chrono::seconds(5);
constexpr std::size_t longest_answer_bytes = 64 * 1024;

std::string to_text(const Url& url, const HttpRequest& request) {
  std::string text = request.method + " " + url.target + " HTTP/1.1\r\nHost: " + io::to_string(url.host) +
                     "\r\nConnection: close\r\nUser-Agent: flaresim\r\n";
  if (!request.soap_action.empty())
    text += "SOAPAction: \"" + request.soap_action + "\"\r\nContent-Type: text/xml; charset=\"utf-8\"\r\n";
  if (!request.body.empty()) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

io::Task<io::Result<HttpAnswer>> read_answer(io::StreamSocket& socket) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(longest_answer_bytes);
  std::string pending;
  std::array<std::uint8_t, 4096> buffer;
  boost::beast::error_code error;
  while (!parser.is_done()) {
    const auto count = co_await socket.read(buffer);
    if (!count) co_return tl::unexpected(count.error());
    if (*count == 0) {
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done()) co_return io::fail(Error::malformed_answer);
      break;
    }
    pending.append(buffer.begin(), buffer.begin() + *count);
    const std::size_t used = parser.put(boost::asio::buffer(pending), error);
    if (error && error != http::error::need_more) co_return io::fail(Error::malformed_answer);
    pending.erase(0, used);
  }
  co_return HttpAnswer{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace

io::Result<Url> Url::parse(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme)) return io::fail(Error::malformed_answer);
  text.remove_prefix(scheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view authority = text.substr(0, slash);
  const std::size_t colon = authority.find(':');
  boost::system::error_code bad;
  Url url;
  url.host.address = boost::asio::ip::make_address_v4(std::string(authority.substr(0, colon)), bad);
  url.host.port = 80;
  if (colon != std::string_view::npos) {
    const char* const end = authority.data() + authority.size();
    const auto [rest, error] = std::from_chars(authority.data() + colon + 1, end, url.host.port);
    if (error != std::errc() || rest != end) return io::fail(Error::malformed_answer);
  }
  url.target = slash == text.size() ? "/" : std::string(text.substr(slash));
  // It becomes part of a request line.
  if (bad || url.target.find_first_of(" \r\n") != std::string::npos) return io::fail(Error::malformed_answer);
  return url;
}

io::Result<Url> Url::resolve(std::string_view reference) const {
  if (reference.find("://") != std::string_view::npos) {
    auto url = parse(reference);
    if (url && url->host.address != host.address) return io::fail(Error::malformed_answer);
    return url;
  }
  Url url = *this;
  url.target = reference.starts_with('/') ? std::string(reference)
                                          : target.substr(0, target.rfind('/') + 1) + std::string(reference);
  if (url.target.find_first_of(" \r\n") != std::string::npos) return io::fail(Error::malformed_answer);
  return url;
}

io::Task<io::Result<HttpAnswer>> fetch(SessionPtr session, Url url, HttpRequest request) {
  const auto socket = session->dial(url.host);
  if (!socket) co_return tl::unexpected(socket.error());
  const io::Deadline deadline(session->scheduler(), *socket, exchange_limit);
  if (const auto connected = co_await (*socket)->connected(); !connected)
    co_return tl::unexpected(connected.error());
  const std::string text = to_text(url, request);
  if (const auto written = co_await (*socket)->write(io::as_bytes(text)); !written)
    co_return tl::unexpected(written.error());
  co_return co_await read_answer(**socket);
}

}  // namespace flaresim::portmap
