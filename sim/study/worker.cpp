#include "sim/study/worker.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>

#include "sim/study/network_codec.h"

namespace flaresim::study {
namespace {

enum class MessageKind : std::uint32_t { result, last_result, look };

/// Before each message on the wire.
struct Header {
  std::uint32_t size = 0;
  MessageKind kind = MessageKind::result;
};
constexpr std::size_t max_answer_bytes = 256 << 20;
constexpr std::size_t chunk_bytes = 64 << 10;

bool send_all(int socket, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const auto sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int socket, void* data, std::size_t size) {
  auto* bytes = static_cast<char*>(data);
  while (size > 0) {
    const auto received = ::recv(socket, bytes, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes += received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

/// The life of the child. It leaves by _exit, since what the parent registered to run at exit is not its own.
[[noreturn]] void serve(const Worker::Job& job, int socket) {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
  const auto progress = [socket](double share, const world::NetworkReport& so_far) {
    const auto report = to_json(so_far);
    const Header header{static_cast<std::uint32_t>(sizeof share + report.size()), MessageKind::look};
    // That nobody listens any more shows when the result is sent.
    if (!send_all(socket, &header, sizeof header) || !send_all(socket, &share, sizeof share)) return;
    send_all(socket, report.data(), report.size());
  };
  for (std::uint64_t number = 0; receive_all(socket, &number, sizeof number);) {
    Header header;
    JobResult result;
    try {
      result = job(number, progress);
    } catch (const std::exception& exception) {
      result.failure = *exception.what() != 0 ? exception.what() : "an exception without a word";
      header.kind = MessageKind::last_result;
    }
    const auto bytes = encode(result);
    header.size = static_cast<std::uint32_t>(bytes.size());
    if (!send_all(socket, &header, sizeof header) || !send_all(socket, bytes.data(), bytes.size())) break;
  }
  ::_exit(0);
}

}  // namespace

io::Result<Worker> Worker::start(const Job& job, const std::vector<int>& siblings) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected(std::error_code(errno, std::generic_category()));
  }
  const auto pid = ::fork();
  if (pid < 0) {
    const auto reason = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    return tl::unexpected(std::error_code(reason, std::generic_category()));
  }
  if (pid == 0) {
    ::close(ends[0]);
    for (const auto sibling : siblings) ::close(sibling);
    serve(job, ends[1]);
  }
  ::close(ends[1]);
  return Worker(pid, ends[0]);
}

Worker::Worker(Worker&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      socket_(std::exchange(other.socket_, -1)),
      job_(other.job_),
      share_(other.share_),
      looks_(std::move(other.looks_)),
      inbox_(std::move(other.inbox_)) {}

Worker& Worker::operator=(Worker&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(socket_, other.socket_);
  std::swap(job_, other.job_);
  std::swap(share_, other.share_);
  std::swap(looks_, other.looks_);
  std::swap(inbox_, other.inbox_);
  return *this;
}

Worker::~Worker() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait_for_death();
}

void Worker::give(std::uint64_t job) {
  job_ = job;
  // A dead child shows when its answer is awaited.
  send_all(socket_, &job, sizeof job);
}

std::optional<Worker::Answer> Worker::poll() {
  std::array<std::uint8_t, chunk_bytes> chunk;
  const auto received = ::recv(socket_, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (received <= 0) return failed(wait_for_death());
  inbox_.insert(inbox_.end(), chunk.begin(), chunk.begin() + received);

  std::optional<Answer> answer;
  while (!answer && take_message(answer)) {
  }
  return answer;
}

/// Takes the first message out of the inbox; false when there is none that is whole.
bool Worker::take_message(std::optional<Answer>& answer) {
  Header header;
  if (inbox_.size() < sizeof header) return false;
  std::memcpy(&header, inbox_.data(), sizeof header);
  const auto garbage = failed("the worker process sent garbage");
  if (header.size > max_answer_bytes) {
    answer = garbage;
    return true;
  }
  if (inbox_.size() < sizeof header + header.size) return false;
  const auto body = std::span(inbox_).subspan(sizeof header, header.size);
  if (header.kind == MessageKind::look) {
    if (!take_look(body)) answer = garbage;
  } else {
    auto result = decode(body);
    job_.reset();
    share_ = 0;
    answer = result ? Answer{std::move(*result), header.kind == MessageKind::last_result} : garbage;
  }
  inbox_.erase(inbox_.begin(), inbox_.begin() + static_cast<std::ptrdiff_t>(sizeof header + header.size));
  return true;
}

bool Worker::take_look(std::span<const std::uint8_t> body) {
  if (body.size() < sizeof share_) return false;
  const auto text = body.subspan(sizeof share_);
  auto report = parse_report({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!report) return false;
  std::memcpy(&share_, body.data(), sizeof share_);
  looks_.push_back(std::move(*report));
  return true;
}

Worker::Answer Worker::failed(std::string why) {
  return {.result = {.failure = std::move(why)}, .retired = true};
}

std::string Worker::wait_for_death() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  ::close(std::exchange(socket_, -1));
  if (!WIFSIGNALED(status))
    return fmt::format("the worker process exited with status {}", WEXITSTATUS(status));
  const auto* name = ::sigabbrev_np(WTERMSIG(status));
  const auto* words = ::sigdescr_np(WTERMSIG(status));
  return fmt::format("the worker process was killed by SIG{} ({})", name ? name : "?",
                     words ? words : "unknown signal");
}

}  // namespace flaresim::study
