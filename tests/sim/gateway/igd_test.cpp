#include "sim/gateway/igd.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/gateway/gateway.h"

namespace flaresim::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string search(std::string_view target) {
  return fmt::format(
      "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: "
      "{}\r\n\r\n",
      target);
}

class IgdDevice : public Gateway {
 protected:
  IgdDevice() { profile.igd = 2; }
  Igd& igd() {
    if (!igd_) igd_.emplace(map(), "http://192.168.1.1:5000/rootDesc.xml", "uuid:1");
    return *igd_;
  }
  /// An action of WANIPConnection, with its arguments as XML.
  HttpResponse call(std::string_view action, std::string_view arguments) {
    constexpr std::string_view service = "urn:schemas-upnp-org:service:WANIPConnection:1";
    HttpRequest request;
    request.method = "POST";
    request.target = "/ctl/IPConn";
    request.soap_action = fmt::format("\"{}#{}\"", service, action);
    request.body = fmt::format(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">"
        "<s:Body><u:{0} xmlns:u=\"{1}\">{2}</u:{0}></s:Body></s:Envelope>",
        action, service, arguments);
    return igd().answer(request, client.address);
  }
  HttpResponse add(std::string_view action, int outside, int inside, int lease,
                   std::string_view address = "192.168.1.10") {
    return call(action, fmt::format("<NewRemoteHost></NewRemoteHost><NewExternalPort>{}</NewExternalPort>"
                                    "<NewProtocol>TCP</NewProtocol><NewInternalPort>{}</NewInternalPort>"
                                    "<NewInternalClient>{}</NewInternalClient><NewEnabled>1</NewEnabled>"
                                    "<NewPortMappingDescription>a &amp; b</NewPortMappingDescription>"
                                    "<NewLeaseDuration>{}</NewLeaseDuration>",
                                    outside, inside, address, lease));
  }

 private:
  std::optional<Igd> igd_;
};

TEST_F(IgdDevice, AnswersSearchesForEveryVersionUpToItsOwn) {
  const std::string device = "urn:schemas-upnp-org:device:InternetGatewayDevice:";
  EXPECT_EQ(igd().answer_search(search(device + "1")).size(), 1u);
  EXPECT_EQ(igd().answer_search(search(device + "2")).size(), 1u);
  EXPECT_EQ(igd().answer_search(search(device + "3")).size(), 0u);
  EXPECT_THAT(igd().answer_search(search(device + "1"))[0],
              HasSubstr("LOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n"));
  EXPECT_GT(igd().answer_search(search("ssdp:all")).size(), 8u);
}

TEST_F(IgdDevice, OfVersionOneKnowsNothingOfVersionTwo) {
  profile.igd = 1;
  EXPECT_TRUE(igd().answer_search(search("urn:schemas-upnp-org:service:WANIPConnection:2")).empty());
  EXPECT_THAT(add("AddAnyPortMapping", 4001, 4001, 0).body, HasSubstr("<errorCode>401</errorCode>"));
}

TEST_F(IgdDevice, LeavesOtherDatagramsAlone) {
  EXPECT_TRUE(igd().answer_search("").empty());
  EXPECT_TRUE(igd().answer_search("NOTIFY * HTTP/1.1\r\n\r\n").empty());
  EXPECT_TRUE(igd().answer_search("M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n").empty());
  EXPECT_TRUE(igd().answer_search(search("urn:schemas-upnp-org:device:MediaServer:1")).empty());
}

TEST_F(IgdDevice, MapsAPortForALease) {
  EXPECT_EQ(add("AddPortMapping", 5001, 4001, 60).status, 200);
  EXPECT_EQ(forwarder.forwards.at({Transport::tcp, 5001}), (io::Endpoint{client.address, 4001}));
  const auto entry = call("GetGenericPortMappingEntry", "<NewPortMappingIndex>0</NewPortMappingIndex>").body;
  EXPECT_THAT(entry, HasSubstr("<NewExternalPort>5001</NewExternalPort>"));
  EXPECT_THAT(entry, HasSubstr("<NewPortMappingDescription>a &amp; b</NewPortMappingDescription>"));
  EXPECT_THAT(entry, HasSubstr("<NewLeaseDuration>60</NewLeaseDuration>"));
  scheduler.run_for(std::chrono::seconds(60));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(IgdDevice, RefusesAPortThatIsAnothers) {
  forwarder.taken.insert({Transport::tcp, 5001});
  const auto refused = add("AddPortMapping", 5001, 4001, 60);
  EXPECT_EQ(refused.status, 500);
  EXPECT_THAT(refused.body, HasSubstr("<errorCode>718</errorCode>"));
}

TEST_F(IgdDevice, GivesAnyPortInVersionTwo) {
  forwarder.taken.insert({Transport::tcp, 5001});
  const auto given = add("AddAnyPortMapping", 5001, 4001, 60);
  EXPECT_EQ(given.status, 200);
  ASSERT_EQ(forwarder.forwards.size(), 1u);
  EXPECT_THAT(given.body,
              HasSubstr(fmt::format("<NewReservedPort>{}<", forwarder.forwards.begin()->first.second)));
}

TEST_F(IgdDevice, MayTakePermanentLeasesOnly) {
  profile.permanent_only = true;
  EXPECT_THAT(add("AddPortMapping", 5001, 4001, 60).body, HasSubstr("<errorCode>725</errorCode>"));
  EXPECT_EQ(add("AddPortMapping", 5001, 4001, 0).status, 200);
  scheduler.run_for(std::chrono::hours(1000));
  EXPECT_EQ(forwarder.forwards.size(), 1u);
}

TEST_F(IgdDevice, LetsAHostMapPortsToItselfOnly) {
  EXPECT_THAT(add("AddPortMapping", 5001, 4001, 60, "192.168.1.11").body,
              HasSubstr("<errorCode>606</errorCode>"));
  EXPECT_TRUE(forwarder.forwards.empty());
}

TEST_F(IgdDevice, RemovesAMapping) {
  add("AddPortMapping", 5001, 4001, 60);
  const std::string key =
      "<NewRemoteHost></NewRemoteHost><NewExternalPort>5001</NewExternalPort><NewProtocol>TCP</NewProtocol>";
  EXPECT_EQ(call("DeletePortMapping", key).status, 200);
  EXPECT_TRUE(forwarder.forwards.empty());
  EXPECT_THAT(call("DeletePortMapping", key).body, HasSubstr("<errorCode>714</errorCode>"));
}

TEST_F(IgdDevice, HasAnErrorForEveryMistake) {
  EXPECT_THAT(call("Explode", "").body, HasSubstr("<errorCode>401</errorCode>"));
  EXPECT_THAT(call("AddPortMapping", "").body, HasSubstr("<errorCode>402</errorCode>"));
  EXPECT_THAT(add("AddPortMapping", 70000, 4001, 60).body, HasSubstr("<errorCode>402</errorCode>"));
  EXPECT_THAT(add("AddPortMapping", 0, 4001, 60).body, HasSubstr("<errorCode>716</errorCode>"));
  EXPECT_THAT(add("AddPortMapping", 5001, 4001, 60, "home").body, HasSubstr("<errorCode>402</errorCode>"));
  EXPECT_THAT(call("GetGenericPortMappingEntry", "<NewPortMappingIndex>0</NewPortMappingIndex>").body,
              HasSubstr("<errorCode>713</errorCode>"));
  EXPECT_EQ(
      igd().answer({.method = "GET", .target = "/", .soap_action = {}, .body = {}}, client.address).status,
      404);
  EXPECT_THAT(igd()
                  .answer({.method = "POST", .target = "/ctl/IPConn", .soap_action = "\"x\"", .body = "<a"},
                          client.address)
                  .body,
              HasSubstr("<errorCode>401</errorCode>"));
}

TEST_F(IgdDevice, TellsTheOutsideAddressThatItClaims) {
  profile.claimed_address = boost::asio::ip::make_address("10.0.0.1");
  EXPECT_THAT(call("GetExternalIPAddress", "").body,
              HasSubstr("<NewExternalIPAddress>10.0.0.1</NewExternalIPAddress>"));
}

TEST_F(IgdDevice, SaysGoodbye) {
  for (const auto& notice : igd().notices(false)) {
    EXPECT_THAT(notice, HasSubstr("NTS: ssdp:byebye\r\n"));
    EXPECT_THAT(notice, Not(HasSubstr("LOCATION")));
  }
}

}  // namespace
}  // namespace flaresim::gateway
