// As much of Unity as the examples name, so that they can be compiled: shapes, and nothing behind them.
using System;

namespace UnityEngine
{
    public class MonoBehaviour
    {
    }

    public static class Debug
    {
        public static void LogWarning(object message)
        {
            Console.Error.WriteLine(message);
        }
    }

    public static class Time
    {
        public static int frameCount => 0;
    }

    public static class Application
    {
        public static event Action quitting
        {
            add
            {
            }
            remove
            {
            }
        }
    }

    public enum RuntimeInitializeLoadType
    {
        SubsystemRegistration,
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType type)
        {
        }
    }
}
