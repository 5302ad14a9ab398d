#include "tests/bench/sodium_calls.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace {

using flaresim::bench::SodiumCall;
using What = SodiumCall::What;

std::vector<SodiumCall>* log_of_calls = nullptr;

void note(What what, unsigned long long bytes = 0, unsigned long long associated = 0) {
  if (log_of_calls != nullptr) log_of_calls->push_back({what, bytes, associated});
}

}  // namespace

// The linker's --wrap sends every call of `f` to `__wrap_f`, and `__real_f` is libsodium's own.
extern "C" {
#define FLARESIM_WRAPPED(name, ...) \
  int __real_##name(__VA_ARGS__);   \
  int __wrap_##name(__VA_ARGS__);   \
  int __wrap_##name(__VA_ARGS__)

using Out = unsigned char*;
using In = const unsigned char*;
using Size = unsigned long long;

FLARESIM_WRAPPED(crypto_scalarmult, Out secret, In ours, In theirs) {
  note(What::agree);
  return __real_crypto_scalarmult(secret, ours, theirs);
}
FLARESIM_WRAPPED(crypto_scalarmult_base, Out shared, In ours) {
  note(What::public_key);
  return __real_crypto_scalarmult_base(shared, ours);
}
FLARESIM_WRAPPED(crypto_sign_detached, Out signature, Size* length, In message, Size bytes, In key) {
  note(What::sign, bytes);
  return __real_crypto_sign_detached(signature, length, message, bytes, key);
}
FLARESIM_WRAPPED(crypto_sign_verify_detached, In signature, In message, Size bytes, In key) {
  note(What::verify, bytes);
  return __real_crypto_sign_verify_detached(signature, message, bytes, key);
}
FLARESIM_WRAPPED(crypto_aead_chacha20poly1305_ietf_encrypt, Out cipher, Size* length, In message, Size bytes,
                 In associated, Size associated_bytes, In unused, In nonce, In key) {
  note(What::seal, bytes, associated_bytes);
  return __real_crypto_aead_chacha20poly1305_ietf_encrypt(cipher, length, message, bytes, associated,
                                                          associated_bytes, unused, nonce, key);
}
FLARESIM_WRAPPED(crypto_aead_chacha20poly1305_ietf_decrypt, Out message, Size* length, Out unused, In cipher,
                 Size bytes, In associated, Size associated_bytes, In nonce, In key) {
  note(What::open, bytes, associated_bytes);
  return __real_crypto_aead_chacha20poly1305_ietf_decrypt(message, length, unused, cipher, bytes, associated,
                                                          associated_bytes, nonce, key);
}
}

namespace flaresim::bench {
namespace {

using Bytes = std::vector<unsigned char>;

const std::array<unsigned char, crypto_aead_chacha20poly1305_IETF_NPUBBYTES> nonce{};
const Bytes associated_data(256);

void require(bool holds) {
  if (!holds) throw std::logic_error("libsodium refused a replayed call");
}

}  // namespace

SodiumRecorder::SodiumRecorder() { log_of_calls = &calls_; }
void SodiumRecorder::stop() { log_of_calls = nullptr; }

SodiumReplay::SodiumReplay(std::vector<SodiumCall> calls)
    : calls_(std::move(calls)),
      public_key_(crypto_sign_PUBLICKEYBYTES),
      private_key_(crypto_sign_SECRETKEYBYTES),
      shared_(crypto_scalarmult_BYTES),
      secret_(crypto_scalarmult_SCALARBYTES, 7),
      key_(crypto_aead_chacha20poly1305_IETF_KEYBYTES, 9) {
  crypto_sign_keypair(public_key_.data(), private_key_.data());
  require(crypto_scalarmult_base(shared_.data(), secret_.data()) == 0);
  for (const auto& call : calls_) {
    require(call.associated <= associated_data.size());
    Bytes message(call.bytes, 0x5a);
    if (call.what == SodiumCall::What::verify) {
      Bytes signature(crypto_sign_BYTES);
      crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), private_key_.data());
      message.insert(message.begin(), signature.begin(), signature.end());
    } else if (call.what == SodiumCall::What::open) {
      const Bytes plain(call.bytes - crypto_aead_chacha20poly1305_IETF_ABYTES, 0x5a);
      crypto_aead_chacha20poly1305_ietf_encrypt(message.data(), nullptr, plain.data(), plain.size(),
                                                associated_data.data(), call.associated, nullptr,
                                                nonce.data(), key_.data());
    }
    out_.resize(std::max(out_.size(), message.size() + crypto_sign_BYTES));
    messages_.push_back(std::move(message));
  }
}

void SodiumReplay::run() {
  auto* const out = out_.data();
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const auto& call = calls_[i];
    const auto* const message = messages_[i].data();
    switch (call.what) {
      case SodiumCall::What::agree:
        require(crypto_scalarmult(out, secret_.data(), shared_.data()) == 0);
        break;
      case SodiumCall::What::public_key:
        require(crypto_scalarmult_base(out, secret_.data()) == 0);
        break;
      case SodiumCall::What::sign:
        crypto_sign_detached(out, nullptr, message, call.bytes, private_key_.data());
        break;
      case SodiumCall::What::verify:
        require(crypto_sign_verify_detached(message, message + crypto_sign_BYTES, call.bytes,
                                            public_key_.data()) == 0);
        break;
      case SodiumCall::What::seal:
        crypto_aead_chacha20poly1305_ietf_encrypt(out, nullptr, message, call.bytes, associated_data.data(),
                                                  call.associated, nullptr, nonce.data(), key_.data());
        break;
      case SodiumCall::What::open:
        require(crypto_aead_chacha20poly1305_ietf_decrypt(out, nullptr, nullptr, message, call.bytes,
                                                          associated_data.data(), call.associated,
                                                          nonce.data(), key_.data()) == 0);
        break;
    }
  }
}

}  // namespace flaresim::bench
