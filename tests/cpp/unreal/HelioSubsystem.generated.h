#pragma once
#define GENERATED_BODY() \
  using Super = UGameInstanceSubsystem; \
 private:
