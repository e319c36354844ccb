// As much of Unity as the README's example names, so that it can be compiled.
namespace UnityEngine
{
    public class MonoBehaviour
    {
    }

    public static class Debug
    {
        public static void LogWarning(object message)
        {
            System.Console.Error.WriteLine(message);
        }
    }
}
