#pragma once

#include <gmp.h>

#include "protocols/io/bytes.h"
#include "protocols/io/random.h"

namespace flaresim::crypto {

/// Numbers of any size as bytes, most significant first, and randomness in the form that Nettle asks for.
void set_number(mpz_t number, io::BytesView bytes);
/// As many bytes as the number needs.
io::Bytes number_bytes(const mpz_t number);
/// Exactly `width` bytes; the number must fit.
io::Bytes number_bytes(const mpz_t number, std::size_t width);
/// A `nettle_random_func` over an `io::Random`.
void fill_from_stream(void* random, std::size_t size, std::uint8_t* into);

}  // namespace flaresim::crypto
