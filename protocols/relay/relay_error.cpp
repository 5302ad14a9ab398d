#include "protocols/relay/relay_error.h"

#include <string>

#include "protocols/io/error_table.h"

namespace flaresim::relay {
namespace {

class StatusCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "relay status"; }
  std::string message(int value) const override {
    switch (static_cast<Status>(value)) {
      case Status::ok:
        return "granted";
      case Status::reservation_refused:
        return "reservation refused";
      case Status::resource_limit_exceeded:
        return "too many circuits";
      case Status::permission_denied:
        return "permission denied";
      case Status::connection_failed:
        return "relay could not reach the peer";
      case Status::no_reservation:
        return "peer has no reservation";
      case Status::malformed_message:
        return "remote calls our message malformed";
      case Status::unexpected_message:
        return "remote did not expect our message";
    }
    return "refused with unknown status " + std::to_string(value);
  }
};

}  // namespace

std::error_code make_error_code(Status status) {
  static const StatusCategory category;
  return {static_cast<int>(status), category};
}

std::error_code make_error_code(Error error) {
  static constexpr std::string_view messages[] = {
      "message is malformed",
      "message is too long",
      "message is of an unexpected type",
      "answer has no status",
      "reservation is granted without details",
      "reservation has expired already",
      "address names no relay",
      "voucher is malformed",
      "voucher is not by this relay",
      "voucher is for another peer",
      "circuit has carried all the bytes it may",
      "circuit has lived as long as it may",
      "connection to the relay was lost",
      "reservation was released",
  };
  static const io::ErrorTable category("relay", messages);
  return {static_cast<int>(error), category};
}

}  // namespace flaresim::relay
