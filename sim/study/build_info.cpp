#include "sim/study/build_info.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstring>
#include <span>

namespace flaresim::study {
namespace {

using Bytes = std::span<const unsigned char>;

std::string hexadecimal(Bytes bytes) {
  std::string text;
  for (const auto byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// The GNU build id among the notes of one segment (System V ABI, "Note Section").
std::string build_id_in(Bytes notes) {
  constexpr auto padded = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes.data(), sizeof header);
    notes = notes.subspan(sizeof header);
    const auto name_size = padded(header.n_namesz);
    const auto total_size = name_size + padded(header.n_descsz);
    if (total_size > notes.size()) return "";
    const auto is_gnu = header.n_namesz == 4 && std::memcmp(notes.data(), "GNU", 4) == 0;
    if (is_gnu && header.n_type == NT_GNU_BUILD_ID)
      return hexadecimal(notes.subspan(name_size, header.n_descsz));
    notes = notes.subspan(total_size);
  }
  return "";
}

/// Called for each loaded object; stops at the one that holds this function.
int visit_object(dl_phdr_info* object, std::size_t, void* id) {
  const auto here = reinterpret_cast<ElfW(Addr)>(&visit_object);
  std::string found;
  bool is_ours = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    const auto start = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && here >= start && here < start + segment.p_memsz) is_ours = true;
    if (segment.p_type == PT_NOTE && found.empty()) {
      found = build_id_in({reinterpret_cast<const unsigned char*>(start), segment.p_memsz});
    }
  }
  if (is_ours) *static_cast<std::string*>(id) = found;
  return is_ours;
}

BuildInfo collect() {
  BuildInfo info{.version = FLARESIM_VERSION,
                 .ns3 = FLARESIM_NS3_VERSION,
                 .compiler = FLARESIM_COMPILER,
                 .build_type = FLARESIM_BUILD_TYPE,
                 .git = FLARESIM_GIT,
                 .id = {}};
  dl_iterate_phdr(visit_object, &info.id);
  return info;
}

}  // namespace

const BuildInfo& build_info() {
  static const BuildInfo info = collect();
  return info;
}

}  // namespace flaresim::study
