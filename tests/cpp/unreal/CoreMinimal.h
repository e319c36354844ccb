// As much of Unreal as docs/unreal.md names, so that its code can be compiled: shapes, and nothing behind them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

using int32 = std::int32_t;
using int64 = std::int64_t;
using TCHAR = char16_t;
#define TEXT(text) u##text

struct FString {
  FString() = default;
  FString(int32, const TCHAR *) {}
  const TCHAR *operator*() const { return u""; }
};
struct FUTF8ToTCHAR {
  FUTF8ToTCHAR(const char *, int32) {}
  int32 Length() const { return 0; }
  const TCHAR *Get() const { return u""; }
};
struct FTCHARToUTF8 {
  explicit FTCHARToUTF8(const TCHAR *) {}
  int32 Length() const { return 0; }
  const char *Get() const { return ""; }
};
struct FCStringAnsi {
  static std::size_t Strlen(const char *text) { return std::strlen(text); }
};
struct TStatId {};
template <typename... Arguments> struct TDelegateShape {
  void Broadcast(Arguments...) {}
};

#define UCLASS(...)
#define UFUNCTION(...)
#define UPROPERTY(...)
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(name, a, x, b, y) using name = TDelegateShape<a, b>
#define DECLARE_DYNAMIC_MULTICAST_DELEGATE_ThreeParams(name, a, x, b, y, c, z) using name = TDelegateShape<a, b, c>
#define DEFINE_LOG_CATEGORY_STATIC(name, level, all) static const int name = 0
#define UE_LOG(category, level, format, ...) ((void)category, (void)(format), (void)(__VA_ARGS__))
#define RETURN_QUICK_DECLARE_CYCLE_STAT(name, group) return TStatId()
