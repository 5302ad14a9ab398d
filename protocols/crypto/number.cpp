#include "protocols/crypto/number.h"

#include <nettle/bignum.h>

namespace flaresim::crypto {

void set_number(mpz_t number, io::BytesView bytes) {
  nettle_mpz_set_str_256_u(number, bytes.size(), bytes.data());
}

io::Bytes number_bytes(const mpz_t number) {
  return number_bytes(number, nettle_mpz_sizeinbase_256_u(number));
}

io::Bytes number_bytes(const mpz_t number, std::size_t width) {
  io::Bytes bytes(width);
  nettle_mpz_get_str_256(width, bytes.data(), number);
  return bytes;
}

void fill_from_stream(void* random, std::size_t size, std::uint8_t* into) {
  static_cast<io::Random*>(random)->fill({into, size});
}

}  // namespace flaresim::crypto
