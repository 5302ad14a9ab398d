#pragma once

#include "sim/world/network.h"

namespace flaresim::study {

/// Shows a visitor every number of a network's report with its name: `visit(name, value)`, where a value is a
/// std::uint64_t, a double, an io::Duration or a world::Spread. What files, tables and reports have of a network
/// follows from this one list. Not in it: the verdicts, the refusals by code, and what was killed.
template <class Report, class Visitor>
void visit_fields(Report& report, Visitor&& visit) {
  visit("nodes", report.nodes);
  visit("public_nodes", report.public_nodes);
  visit("simulated_s", report.simulated);
  visit("node_hours", report.node_hours);
  visit("starts", report.starts);
  visit("leaves", report.leaves);
  visit("lookup_took_s", report.lookups.took_s);
  visit("lookup_answered_after_s", report.lookups.answered_after_s);
  visit("lookup_hops", report.lookups.hops);
  visit("lookup_requests", report.lookups.requests);
  visit("requests_sent", report.lookups.requests_sent);
  visit("requests_failed", report.lookups.requests_failed);
  visit("probes", report.probes.count);
  visit("probes_right", report.probes.right);
  visit("probe_took_s", report.probes.took_s);
  visit("probe_hops", report.probes.hops);
  visit("false_public", report.false_public);
  visit("false_private", report.false_private);
  visit("table_looks", report.tables.looks);
  visit("table_entries", report.tables.entries);
  visit("table_entries_offline", report.tables.offline);
  visit("table_entries_lapsed", report.tables.lapsed);
  visit("table_entries_never_public", report.tables.never_public);
  visit("table_size", report.tables.size);
  visit("relays", report.relays.relays);
  visit("relay_reservations", report.relays.reservations);
  visit("relay_circuits", report.relays.circuits);
  visit("most_reservations", report.relays.most_reservations);
  visit("relays_above_limits", report.relays.above_limits);
  visit("reservations_granted", report.relays.granted);
  visit("circuits_opened", report.relays.opened);
  visit("reservations_lost", report.relays.lost);
  visit("private_nodes", report.relays.private_nodes);
  visit("private_nodes_without_reservation", report.relays.without_reservation);
  visit("attempts_skipped", report.funnel.skipped);
  visit("attempts", report.funnel.attempts);
  visit("attempts_found", report.funnel.found);
  visit("attempts_connected", report.funnel.connected);
  visit("attempts_dialled", report.funnel.dialled);
  visit("attempts_relayed", report.funnel.relayed);
  visit("attempts_exchanged", report.funnel.exchanged);
  visit("attempts_reversed", report.funnel.reversed);
  visit("attempts_punched", report.funnel.punched);
  visit("connections", report.connections);
  visit("events", report.events);
  visit("packets", report.packets);
  visit("handshakes", report.handshakes);
  visit("left_behind", report.left_behind);
}

/// The same for what a `world::Spread` is made of.
template <class Spread, class Visitor>
void visit_spread(Spread& spread, Visitor&& visit) {
  visit("count", spread.count);
  visit("mean", spread.mean);
  visit("median", spread.median);
  visit("p90", spread.p90);
  visit("max", spread.max);
}

}  // namespace flaresim::study
