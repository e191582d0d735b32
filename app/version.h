#pragma once
namespace querent {
inline constexpr const char* version = "0.1.0";
}
