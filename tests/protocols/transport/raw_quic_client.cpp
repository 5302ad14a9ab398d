#include "tests/protocols/transport/raw_quic_client.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace flaresim::support {
namespace {

void must(int outcome) {
  if (outcome != 0) throw std::runtime_error("raw QUIC client");
}

struct RawClient {
  TestScheduler& scheduler;
  io::DatagramSocket& socket;
  io::Endpoint remote;
  ngtcp2_crypto_conn_ref reference{};
  ngtcp2_conn* connection = nullptr;
  gnutls_session_t session = nullptr;
  gnutls_certificate_credentials_t credentials = nullptr;
  sockaddr_in local_address{};
  sockaddr_in remote_address{};
  std::uint64_t error_code = 0;

  ngtcp2_path path() {
    return {{reinterpret_cast<sockaddr*>(&local_address), sizeof local_address},
            {reinterpret_cast<sockaddr*>(&remote_address), sizeof remote_address},
            nullptr};
  }
  ngtcp2_tstamp now() const { return static_cast<ngtcp2_tstamp>(scheduler.now().time_since_epoch().count()); }
  void write() {
    std::array<std::uint8_t, 1200> datagram;
    for (;;) {
      ngtcp2_pkt_info info{};
      const auto size =
          ngtcp2_conn_write_pkt(connection, nullptr, &info, datagram.data(), datagram.size(), now());
      if (size <= 0) break;
      (void)socket.send_to(io::BytesView(datagram).first(static_cast<std::size_t>(size)), remote);
    }
  }
  void read(const io::Bytes& datagram) {
    const auto route = path();
    ngtcp2_pkt_info info{};
    const int outcome =
        ngtcp2_conn_read_pkt(connection, &route, &info, datagram.data(), datagram.size(), now());
    if (outcome == NGTCP2_ERR_DRAINING) {
      ngtcp2_connection_close_error received{};
      ngtcp2_conn_get_connection_close_error(connection, &received);
      error_code = received.error_code;
    } else if (outcome == 0) {
      write();
    }
  }
};

sockaddr_in to_address(const io::Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(endpoint.address.to_v4().to_uint());
  return address;
}

void fill(std::uint8_t* into, std::size_t size) {
  static io::Random random(77);
  random.fill({into, size});
}

ngtcp2_callbacks callbacks() {
  ngtcp2_callbacks to{};
  to.client_initial = ngtcp2_crypto_client_initial_cb;
  to.recv_retry = ngtcp2_crypto_recv_retry_cb;
  to.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  to.encrypt = ngtcp2_crypto_encrypt_cb;
  to.decrypt = ngtcp2_crypto_decrypt_cb;
  to.hp_mask = ngtcp2_crypto_hp_mask_cb;
  to.update_key = ngtcp2_crypto_update_key_cb;
  to.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  to.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  to.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  to.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  to.rand = [](std::uint8_t* into, std::size_t size, const ngtcp2_rand_ctx*) { fill(into, size); };
  to.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void*) {
    fill(id->data, size);
    id->datalen = size;
    fill(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
  };
  return to;
}

void start_tls(RawClient& client, const std::vector<ForgedCertificate>& chain,
               const std::vector<std::string>& protocols) {
  client.credentials = credentials_of(chain);
  must(gnutls_init(&client.session, GNUTLS_CLIENT | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_FORCE_CLIENT_CERT));
  must(gnutls_priority_set_direct(client.session, "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",
                                  nullptr));
  must(gnutls_credentials_set(client.session, GNUTLS_CRD_CERTIFICATE, client.credentials));
  std::vector<gnutls_datum_t> names;
  for (const auto& name : protocols)
    names.push_back({reinterpret_cast<unsigned char*>(const_cast<char*>(name.data())),
                     static_cast<unsigned>(name.size())});
  if (!names.empty())
    must(gnutls_alpn_set_protocols(client.session, names.data(), static_cast<unsigned>(names.size()), 0));
  client.reference = {
      [](ngtcp2_crypto_conn_ref* self) { return static_cast<RawClient*>(self->user_data)->connection; },
      &client};
  gnutls_session_set_ptr(client.session, &client.reference);
  must(ngtcp2_crypto_gnutls_configure_client_session(client.session));
}

io::Task<> receive_all(std::shared_ptr<io::DatagramSocket> socket, RawClient* client) {
  for (;;) {
    const auto datagram = co_await socket->receive();
    if (!datagram) co_return;
    client->read(datagram->payload);
  }
}

}  // namespace

std::uint64_t run_raw_quic_client(DatagramNet& net, io::Network& host, const io::Endpoint& local,
                                  const io::Endpoint& remote, const std::vector<ForgedCertificate>& chain,
                                  const std::vector<std::string>& protocols, io::Duration limit) {
  const std::shared_ptr<io::DatagramSocket> socket = std::move(host.bind(local).value());
  RawClient client{net.scheduler(), *socket, remote};
  client.local_address = to_address(local);
  client.remote_address = to_address(remote);
  start_tls(client, chain, protocols);

  const auto used = callbacks();
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = client.now();
  settings.no_pmtud = 1;
  ngtcp2_transport_params parameters;
  ngtcp2_transport_params_default(&parameters);
  ngtcp2_cid destination{18, {}}, source{8, {}};
  fill(destination.data, destination.datalen);
  fill(source.data, source.datalen);
  const auto route = client.path();
  must(ngtcp2_conn_client_new(&client.connection, &destination, &source, &route, NGTCP2_PROTO_VER_V1, &used,
                              &settings, &parameters, nullptr, &client));
  ngtcp2_conn_set_tls_native_handle(client.connection, client.session);
  io::spawn(net.scheduler().executor(), receive_all(socket, &client));
  client.write();
  net.scheduler().run_for(limit);
  socket->close();
  net.scheduler().settle();
  ngtcp2_conn_del(client.connection);
  gnutls_deinit(client.session);
  gnutls_certificate_free_credentials(client.credentials);
  return client.error_code;
}

}  // namespace flaresim::support
