#pragma once
struct FSubsystemCollectionBase {};
struct UGameInstanceSubsystem {
  virtual ~UGameInstanceSubsystem() = default;
  virtual void Initialize(FSubsystemCollectionBase &) {}
  virtual void Deinitialize() {}
};
