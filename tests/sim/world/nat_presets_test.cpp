#include "sim/world/nat_presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

namespace flaresim::world {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string shipped = FLARESIM_SOURCE_DIR "/topologies/nats";

const NatCatalogue& catalogue() {
  static const auto read = read_nat_catalogue(shipped).value();
  return read;
}

nat::Behaviour behaviour(const std::string& text) {
  return nat::parse_behaviour(text, catalogue().names).value();
}

/// A folder of presets that lives as long as the test.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("nat-presets-test-" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directory(path_);
    add("index", "[]\n");
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void add(const std::string& name, const std::string& text) {
    std::ofstream(path_ / (name + ".yaml")) << text;
  }
  tl::expected<NatCatalogue, ScenarioError> read() const { return read_nat_catalogue(path_.string()); }
  /// `file:line:column: message`, without the folder.
  std::string error() const {
    const auto read_in = read();
    return read_in ? "no error" : to_string(read_in.error()).substr(path_.string().size() + 1);
  }

 private:
  fs::path path_;
};

/// A good file but for what follows its sources.
std::string box(const std::string& rest) {
  return "name: box\nsummary: a box\nobserved_on: [Box 1]\n"
         "sources: [{url: 'https://example.org/', kind: manual, says: it is so}]\n" +
         rest;
}
const std::string good_axes = "axes: {mapping: EIM, filtering: APDF}\n";

TEST(NatPresets, AreAsManyAsThereAreFiles) {
  std::set<std::string> files, names;
  for (const auto& file : fs::directory_iterator(shipped))
    if (file.path().extension() == ".yaml") files.insert(file.path().stem());
  files.erase("index");
  for (const auto& preset : catalogue().presets) names.insert(preset.name);
  EXPECT_EQ(names, files);
  EXPECT_EQ(names.size(), catalogue().presets.size());
  EXPECT_EQ(names.size(), catalogue().names.size());
  EXPECT_GE(names.size(), 25u);
}

TEST(NatPresets, BeginWithTheClassicNames) {
  std::vector<std::string> first;
  for (const auto& preset : catalogue().presets)
    if (first.size() < 8) first.push_back(preset.name);
  EXPECT_THAT(first, ElementsAre("full-cone", "address-restricted", "port-restricted", "symmetric", "open",
                                 "udp-blocked", "linux", "linux-input-drop"));
}

TEST(NatPresets, NameTheirSourcesAndWhereTheyWereSeen) {
  for (const auto& preset : catalogue().presets) {
    EXPECT_FALSE(preset.sources.empty()) << preset.name;
    EXPECT_FALSE(preset.summary.empty()) << preset.name;
    EXPECT_NE(preset.group, "Others") << preset.name << " is not in the index";
    EXPECT_TRUE(preset.grade != NatGrade::measured || !preset.observed_on.empty()) << preset.name;
  }
}

TEST(NatPresets, OfTheKernelRestOnTheTestThatComparesThem) {
  for (const auto& preset : catalogue().presets) {
    const bool is_compared =
        preset.name.starts_with("linux") || preset.name == "docker" || preset.name == "openwrt";
    bool cites = false;
    for (const auto& source : preset.sources) {
      if (!is_in_repository(source.url)) continue;
      EXPECT_TRUE(fs::exists(fs::path(FLARESIM_SOURCE_DIR) / source.url))
          << preset.name << ": " << source.url;
      cites = true;
    }
    EXPECT_EQ(cites, is_compared) << preset.name;
    if (!is_compared) continue;
    for (const auto& axis : preset.axes) EXPECT_FALSE(axis.assumed) << preset.name << ": " << axis.key;
  }
}

TEST(NatPresets, SayingAnAxisAgainChangesNothing) {
  for (const auto& preset : catalogue().presets) {
    for (const auto& axis : preset.axes) {
      const auto text = preset.name + "," + axis.key + "=" + axis.value;
      EXPECT_EQ(behaviour(text), behaviour(preset.name)) << text;
    }
  }
}

TEST(NatPresets, AreWhatTheirCanonicalFormReadsBackAs) {
  for (const auto& preset : catalogue().presets) {
    const auto box = behaviour(preset.name);
    EXPECT_EQ(nat::parse_behaviour(nat::to_string(box), {}).value(), box) << preset.name;
  }
}

TEST(NatPresets, LinuxHasTheTimersOfConnectionTracking) {
  const auto box = behaviour("linux");
  EXPECT_EQ(box.udp_unreplied_timeout, 30s);  // nf_conntrack_udp_timeout
  EXPECT_EQ(box.udp_timeout, 120s);           // nf_conntrack_udp_timeout_stream
  EXPECT_EQ(box.udp_stream_after, 2s);        // nf_conntrack_proto_udp.c, stream_ts
  EXPECT_EQ(box.udp_refresh, nat::Refresh::both);
  EXPECT_EQ(box.tcp_transitory_timeout, 120s);      // nf_conntrack_tcp_timeout_syn_sent
  EXPECT_EQ(box.tcp_established_timeout, 432000s);  // nf_conntrack_tcp_timeout_established
  EXPECT_EQ(box.tcp_closing_timeout, 120s);         // nf_conntrack_tcp_timeout_time_wait
  EXPECT_EQ(box.tcp_reset_timeout, 10s);            // nf_conntrack_tcp_timeout_close
  EXPECT_EQ(box.icmp_timeout, 30s);                 // nf_conntrack_icmp_timeout
  EXPECT_EQ(box.udp.unsolicited, nat::Unsolicited::commit_state);
  EXPECT_EQ(box.tcp.unsolicited, nat::Unsolicited::reset);
}

TEST(NatPresets, LinuxDiffersByItsInputChainInNothingButAnswers) {
  for (const std::string name : {"linux-input-drop", "linux-input-reject"}) {
    auto box = behaviour(name);
    for (auto rules : {&nat::Behaviour::udp, &nat::Behaviour::tcp, &nat::Behaviour::icmp})
      (box.*rules).unsolicited = (behaviour("linux").*rules).unsolicited;
    box.echo = behaviour("linux").echo;
    EXPECT_EQ(box, behaviour("linux")) << name;
  }
}

TEST(NatPresets, RestOnTheirSources) {
  Folder folder;
  const auto grade = [&](const std::string& text) {
    folder.add("box", text);
    const auto read = folder.read();
    return read ? to_string(read->presets.at(0).grade) : std::string_view("error");
  };
  EXPECT_EQ(grade(box(good_axes)), "documented");
  EXPECT_EQ(grade(box(good_axes + "assumed: [filtering]\n")), "assumed");
  EXPECT_EQ(grade(box(good_axes + "assumed: ['*']\nknown: [mapping, filtering]\n")), "documented");
  EXPECT_EQ(grade(box(good_axes + "assumed: ['*']\nknown: [mapping]\n")), "assumed");
  const std::string measured =
      "name: box\nsummary: a box\nobserved_on: [Box 1]\n"
      "sources: [{url: 'http://x/', kind: measurement, says: so}]\n" +
      good_axes;
  EXPECT_EQ(grade(measured), "measured");
  const auto nowhere = [](std::string text) { return text.replace(text.find("[Box 1]"), 7, "[]"); };
  EXPECT_EQ(grade(nowhere(box(good_axes))), "assumed");
  auto definition = nowhere(box(good_axes));
  definition.replace(definition.find("manual"), 6, "standard");
  EXPECT_EQ(grade(definition), "documented");
}

TEST(NatPresets, SayWhereAFileIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {box("axes: {mapping: EIN, filtering: APDF}\n"),
       "box.yaml:5:17: unknown mapping 'EIN'; did you mean 'EIM'?"},
      {box("axes:\n  mapping: EIM\n  filtering: \"APFD\"\n"),
       "box.yaml:7:15: unknown filtering 'APFD'; did you mean 'APDF'?"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  udp_timout: 30s\n"),
       "box.yaml:8:3: unknown key 'udp_timout'; did you mean 'udp_timeout'?"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  hairpin: extern\n"),
       "box.yaml:8:12: unknown value 'extern'; did you mean 'external'?"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  udp_timeout: 30sec\n"),
       "box.yaml:8:18: unknown unit of time"},
      {box("axes:\n  port_range: 5-1\n  filtering: APDF\n  mapping: EIM\n"), "box.yaml:6:17: the last port"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  hairpin:\n"),
       "box.yaml:8:3: expected a text, not nothing"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  hairpin: \"off,echo=drop\"\n"),
       "box.yaml:8:16: an axis has no ','"},
      {box("axes:\n  mapping: EIM/EIF\n  filtering: APDF\n"), "box.yaml:6:15: an axis has no '/'"},
      {box("axes: {filtering: APDF}\n"), "box.yaml:5:7: key 'mapping' is missing in axes"},
      {box("axes: {mapping: EIM}\n"), "box.yaml:5:7: key 'filtering' is missing in axes"},
      {box("axes: EIM/APDF\n"), "box.yaml:5:7: expected a map of axes"},
      {box("axes:\n  mapping: EIM\n  filtering: APDF\n  mapping: EIM\n"),
       "box.yaml:8:3: key 'mapping' is given twice"},
      {box(good_axes + "assumed: [mappin]\n"),
       "box.yaml:6:11: there is no axis 'mappin'; did you mean 'mapping'?"},
      {box(good_axes + "assumed: [hairpin]\n"), "box.yaml:6:11: there is no axis 'hairpin'"},
      {box(good_axes + "known: [mapping]\n"), "box.yaml:6:8: known goes with assumed"},
      {box(good_axes + "grade: measured\n"), "box.yaml:6:1: unknown key 'grade'"},
      {box(""), "box.yaml:1:1: key 'axes' is missing"},
      {"name: bax\n" + box(good_axes).substr(10), "box.yaml:1:7: name is not that of the file, 'box'"},
      {"name: box\nsummary: a box\nobserved_on: []\nsources: []\n" + good_axes,
       "box.yaml:4:10: expected a list of sources, at least one"},
      {"name: box\nsummary: a box\nobserved_on: []\nsources: [{url: book, kind: manual, says: x}]\n" +
           good_axes,
       "box.yaml:4:17: expected a URL or a path below tests/, not 'book'"},
      {"name: box\nsummary: a box\nobserved_on: []\nsources: [{url: 'http://x/', kind: hearsay, says: x}]\n" +
           good_axes,
       "box.yaml:4:36: there is no kind of source 'hearsay'"},
      {"name: box\nsummary: a box\nobserved_on: []\nsources: [{url: 'http://x/', kind: manual}]\n" +
           good_axes,
       "box.yaml:4:11: key 'says' is missing in a source"},
      {"- name: box\n", "box.yaml:1:1: expected a map"},
      {"name: [\n", "box.yaml:2:1:"},
  };
  Folder folder;
  for (const auto& [text, error] : cases) {
    folder.add("box", text);
    EXPECT_THAT(folder.error(), HasSubstr(error)) << text;
  }
}

TEST(NatPresets, StandInTheOrderOfTheIndexAndThenByName) {
  Folder folder;
  for (const std::string name : {"d", "c", "b", "a"}) {
    auto text = box(good_axes);
    folder.add(name, text.replace(6, 3, name));
  }
  folder.add("index", "- {group: First, presets: [d, b]}\n");
  std::vector<std::string> names, groups;
  const auto read = folder.read().value();
  for (const auto& preset : read.presets) {
    names.push_back(preset.name);
    groups.push_back(preset.group);
  }
  EXPECT_THAT(names, ElementsAre("d", "b", "a", "c"));
  EXPECT_THAT(groups, ElementsAre("First", "First", "Others", "Others"));
}

TEST(NatPresets, SayWhereTheIndexIsWrong) {
  Folder folder;
  folder.add("box", box(good_axes));
  folder.add("index", "- {group: First, presets: [bux]}\n");
  EXPECT_THAT(folder.error(), HasSubstr("index.yaml:1:28: there is no preset 'bux'; did you mean 'box'?"));
  folder.add("index", "- {group: First, presets: [box]}\n- {group: Second, presets: [box]}\n");
  EXPECT_THAT(folder.error(), HasSubstr("index.yaml:2:29: 'box' is listed twice"));
  folder.add("index", "group: First\n");
  EXPECT_THAT(folder.error(), HasSubstr("index.yaml:1:1: expected a list of groups"));
  const auto nowhere = read_nat_catalogue("/nowhere");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(to_string(nowhere.error()), HasSubstr("/nowhere: cannot be read"));
}

TEST(NatDescription, TellsTheSourcesFromTheTextAndFromNobody) {
  const auto basis = [](const std::string& text, const std::string& key) -> std::string {
    const auto described = describe_nat(text).value();
    const auto axis = std::find_if(described.axes.begin(), described.axes.end(),
                                   [&](const NatAxis& one) { return one.key == key; });
    return axis == described.axes.end() ? "none" : axis->value + " " + std::string(to_string(axis->basis));
  };
  EXPECT_EQ(basis("linux", "udp_timeout"), "2min source");
  EXPECT_EQ(basis("linux", "hairpin"), "refuse source");
  EXPECT_EQ(basis("fritzbox", "hairpin"), "off assumed");
  EXPECT_EQ(basis("linux", "parity"), "off default");
  EXPECT_EQ(basis("linux", "udp_unsolicited"), "commit-state source");
  EXPECT_EQ(basis("linux,udp_timeout=9s", "udp_timeout"), "9s given");
  EXPECT_EQ(basis("linux,unsolicited=drop", "unsolicited"), "drop given");
  EXPECT_EQ(basis("EIM/APDF", "filtering"), "APDF given");
  EXPECT_EQ(basis("EIM/APDF", "ports"), "preserve default");
  EXPECT_EQ(basis("EIM/APDF,tcp_mapping=APDM", "tcp_mapping"), "APDM given");
  EXPECT_EQ(basis("EIM/APDF,tcp_mapping=APDM", "mapping"), "none");
  EXPECT_EQ(describe_nat("EIM/APDF")->preset, nullptr);
  EXPECT_EQ(describe_nat("linux,udp_timeout=9s")->preset->name, "linux");
}

TEST(NatDescription, RefusesWhatIsNoNat) {
  const auto no_preset = describe_nat("linus");
  ASSERT_FALSE(no_preset);
  EXPECT_EQ(no_preset.error().nearest, "linux");
  const auto no_axis = describe_nat("linux,udp_timout=9s");
  ASSERT_FALSE(no_axis);
  EXPECT_EQ(no_axis.error().offset, 6u);
}

}  // namespace
}  // namespace flaresim::world
