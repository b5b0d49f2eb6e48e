#include "variant.hpp"

#define MMB_TEXT_OF(x) #x
#define MMB_TEXT(x) MMB_TEXT_OF(x)

namespace mmb {
extern const char* const variant_isa = MMB_TEXT(MMB_ISA);
extern const char* const variant_sources = MMB_TEXT(MMB_SOURCES);
}
