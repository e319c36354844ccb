#pragma once
#include "CoreMinimal.h"
struct FTickableGameObject {
  virtual ~FTickableGameObject() = default;
  virtual void Tick(float) = 0;
  virtual TStatId GetStatId() const = 0;
  virtual bool IsTickableWhenPaused() const { return false; }
};
