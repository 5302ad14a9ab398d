#pragma once

#include <cstddef>
#include <vector>

namespace flaresim::bench {

/// One call of libsodium that this program made.
struct SodiumCall {
  enum class What { agree, public_key, sign, verify, seal, open };
  What what;
  std::size_t bytes = 0;  ///< of the message; zero for X25519
  std::size_t associated =
      0;  ///< bytes authenticated beside it: the handshake's hash while it lasts, then none
};

/// Writes down the curve and AEAD calls of everything that is linked into this program, from construction to
/// `stop`. One at a time.
class SodiumRecorder {
 public:
  SodiumRecorder();
  ~SodiumRecorder() { stop(); }
  SodiumRecorder(const SodiumRecorder&) = delete;
  SodiumRecorder& operator=(const SodiumRecorder&) = delete;

  static void stop();
  const std::vector<SodiumCall>& calls() const { return calls_; }

 private:
  std::vector<SodiumCall> calls_;
};

/// The same calls with the same lengths, and nothing else.
class SodiumReplay {
 public:
  explicit SodiumReplay(std::vector<SodiumCall> calls);
  void run();

 private:
  std::vector<SodiumCall> calls_;
  std::vector<unsigned char> public_key_, private_key_, shared_, secret_, key_;
  std::vector<std::vector<unsigned char>> messages_;  ///< what each call reads
  std::vector<unsigned char> out_;
};

}  // namespace flaresim::bench
